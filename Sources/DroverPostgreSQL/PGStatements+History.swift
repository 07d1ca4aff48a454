import Drover

/// Statements that read keys as they were at a revision.
extension PGStatements {
    /// The event before that of `c`, whose row of the log is `l`: where the key was created after the revision, the event
    /// before its creation, since those between are all too new.
    private static func previous(at revision: String) -> String {
        """
        LEFT JOIN LATERAL (
            SELECT * FROM drover_log WHERE main = c.main AND sub = c.sub OFFSET 0
        ) l ON true
        LEFT JOIN LATERAL (
            SELECT previous_main, previous_sub FROM drover_log
            WHERE main = CASE WHEN l.created > \(revision) AND l.version > 1 THEN l.created END AND key = l.key OFFSET 0
        ) j ON true
        """
    }

    /// Keys with their newest events, and those deleted after revision $4 with their deletions. Values longer than $5, and
    /// those newer than the revision, are left out.
    static func history(bounded: Bool, values: Bool) -> PGStatement {
        let end = bounded ? " AND key < $3" : ""
        let at = (bounded ? "$4" : "$3") + "::int8"
        let longest = (bounded ? "$5" : "$4") + "::int8"
        let heads = """
            (SELECT key, main, sub, created, version, lease, length FROM drover_current
                WHERE key >= $1\(end) ORDER BY key LIMIT $2)
            UNION ALL
            (SELECT key, main, sub, 0::int8, 0::int8, 0::int8, 0::int8 FROM drover_tombstone
                WHERE key >= $1\(end) AND main > \(at) ORDER BY key LIMIT $2)
            ORDER BY key LIMIT $2
            """
        let name = "d_history_\(bounded)_\(values)"
        if !values { return PGStatement(name, heads) }
        return PGStatement(
            name,
            """
            SELECT c.key, c.main, nullif(c.sub, 0), c.created, c.version, nullif(c.lease, 0),
                CASE WHEN c.length > \(longest) OR c.main > \(at) THEN c.length END,
                CASE WHEN c.length <= \(longest) THEN l.value END
            FROM (\(heads)) c LEFT JOIN LATERAL (
                SELECT value FROM drover_log WHERE main = CASE WHEN c.main <= \(at) THEN c.main END AND sub = c.sub OFFSET 0
            ) l ON true
            ORDER BY c.key
            """
        )
    }

    /// Where the chains from the places $1, $2 come to after $4 events more, or at the first not above revision $3.
    static let follow = PGStatement(
        "d_follow",
        """
        WITH RECURSIVE chain (place, main, sub, hops) AS (
            SELECT u.place, u.main, u.sub, 0::int8
            FROM unnest($1::int8[], $2::int8[]) WITH ORDINALITY AS u (main, sub, place)
            UNION ALL
            SELECT c.place, coalesce(j.previous_main, l.previous_main, 0), coalesce(j.previous_sub, l.previous_sub, 0),
                c.hops + 1
            FROM chain c \(previous(at: "$3::int8"))
            WHERE c.main > $3::int8 AND c.hops < $4::int8
        )
        SELECT place, main, sub FROM chain WHERE main <= $3::int8 OR hops = $4::int8
        """
    )

    /// The newest place of each of the keys $1 among the $3 rows of the log up to revision $2, and how many rows those
    /// are, in a row without a key.
    static let readBack = PGStatement(
        "d_read_back",
        """
        WITH back AS MATERIALIZED (
            SELECT key, main, sub FROM drover_log WHERE main <= $2::int8 ORDER BY main DESC, sub DESC LIMIT $3
        )
        (SELECT NULL::bytea, count(*), 0::int8 FROM back)
        UNION ALL
        (SELECT DISTINCT ON (key) key, main, sub FROM back WHERE key = ANY ($1::bytea[])
            ORDER BY key, main DESC, sub DESC)
        """
    )
}
