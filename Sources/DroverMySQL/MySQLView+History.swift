import Drover

/// Keys as they were at a revision.
extension MySQLView {
    /// Joins to a chain's `c` its row of the log, `l`, and in `j` what comes before its creation, where the key was created
    /// after the revision: the events between are all too new.
    private static func appendPrevious(at revision: Int64, _ text: inout SQLText) {
        text.append(
            " LEFT JOIN drover_log l FORCE INDEX (PRIMARY) ON l.main = c.main AND l.sub = c.sub LEFT JOIN drover_log j FORCE INDEX (PRIMARY) ON j.main = CASE WHEN l.version > 1 AND l.created > "
        )
        text.append(revision)
        text.append(" THEN l.created END AND j.k = l.k")
    }

    /// The statement for keys that were deleted after the revision.
    func appendDeleted(
        _ range: KeyRange,
        from start: Bytes,
        since revision: Int64,
        limit: Int,
        _ text: inout SQLText
    ) {
        text.append("SELECT k, main, sub FROM drover_tombstone FORCE INDEX (PRIMARY) WHERE ")
        appendRange(range, from: start, &text)
        text.append(" AND main > ")
        text.append(revision)
        text.append(" ORDER BY k LIMIT ")
        text.append(Int64(limit))
        text.end()
    }

    /// Chains go by their first places, not by keys: MariaDB's temporary tables take two kilobytes for each key.
    func follow(_ places: [LogPosition], downTo revision: Int64, hops: Int) throws -> [LogPosition] {
        var text = SQLText()
        text.append(
            "WITH RECURSIVE chain (place, part, main, sub, hops) AS (SELECT main, sub, main, sub, CAST(0 AS SIGNED) FROM drover_log FORCE INDEX (PRIMARY) WHERE "
        )
        var isFirst = true
        Self.grouped(places) { condition in
            if !isFirst { text.append(" OR ") }
            isFirst = false
            condition(&text)
        }
        text.append(
            " UNION ALL SELECT c.place, c.part, coalesce(j.previous_main, l.previous_main, 0), coalesce(j.previous_sub, l.previous_sub, 0), c.hops + 1 FROM chain c"
        )
        Self.appendPrevious(at: revision, &text)
        text.append(" WHERE c.main > ")
        text.append(revision)
        text.append(" AND c.hops < ")
        text.append(Int64(hops))
        text.append(") SELECT place, part, main, sub FROM chain WHERE main <= ")
        text.append(revision)
        text.append(" OR hops = ")
        text.append(Int64(hops))
        text.end()
        let chains = try connection.land(text)[0]!
        var ends: [LogPosition: LogPosition] = [:]
        while chains.next() {
            ends[LogPosition(main: chains.integer(0), sub: chains.integer(1))] =
                LogPosition(main: chains.integer(2), sub: chains.integer(3))
        }
        return places.map { ends[$0] ?? LogPosition(main: 0, sub: 0) }
    }

    func readBack(
        _ keys: [Bytes],
        from revision: Int64,
        rows: Int
    ) throws -> (found: [Bytes: LogPosition], isWhole: Bool) {
        // In one pass: a table expression that is named twice is read twice.
        var text = SQLText()
        text.append("SELECT CASE WHEN k IN ")
        text.append(list: keys)
        text.append(
            " THEN k END AS found, max(main), count(*) FROM (SELECT k, main FROM drover_log FORCE INDEX (PRIMARY) WHERE main <= "
        )
        text.append(revision)
        text.append(" ORDER BY main DESC, sub DESC LIMIT ")
        text.append(Int64(rows))
        text.append(") back GROUP BY found")
        text.end()
        let newest = try connection.land(text)[0]!
        var read: Int64 = 0
        var places = SQLText()
        while newest.next() {
            read += newest.integer(2)
            if newest.isNull(0) { continue }
            // A key has one event in a revision.
            places.append("SELECT k, main, sub FROM drover_log FORCE INDEX (PRIMARY) WHERE main = ")
            places.append(newest.integer(1))
            places.append(" AND k = ")
            places.append(Bytes(newest.bytes(0)))
            places.end()
        }
        var found: [Bytes: LogPosition] = [:]
        if places.statements > 0 {
            for case let place? in try connection.land(places) where place.next() {
                found[Bytes(place.bytes(0))] = LogPosition(main: place.integer(1), sub: place.integer(2))
            }
        }
        return (found, read < Int64(rows))
    }
}
