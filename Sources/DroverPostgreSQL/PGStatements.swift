import Drover

/// Every statement the driver sends but those of the schema.
///
/// Plans are pinned: with statistics taken while a table had few rows the planner would otherwise read whole tables for
/// a batch's keys, and keep that plan while the session lives. The session's settings leave it index scans, nested loops
/// and generic plans, but not the order of a join: so what is looked up for each of several keys is a `LATERAL` subquery,
/// whose `OFFSET 0` keeps it from being merged and turned around, and rows are deleted by `= ANY`.
enum PGStatements {
    /// What each kind of connection prepares when it is made.
    static let ofWriter = [
        begin, lockMeta, states, leasesByID, leasesLocked, fence, insertLog, upsertCurrent, deleteCurrent,
        upsertTombstone, deleteTombstone, insertLeases, deleteLeases, recordBatch, notify, commit, rollback, sweepRows,
        deleteLogBySub, deleteLogByMain, sweepTombstones,
    ]
    static let ofReader = [
        beginSnapshot, commit, meta, points, scan(bounded: true, values: true), scan(bounded: true, values: false),
        count(bounded: true), events, log(values: true),
    ]

    static let begin = PGStatement("d_begin", "BEGIN ISOLATION LEVEL READ COMMITTED READ WRITE")
    static let beginSnapshot = PGStatement("d_snapshot", "BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY")
    static let commit = PGStatement("d_commit", "COMMIT")
    static let rollback = PGStatement("d_rollback", "ROLLBACK")

    private static let metaColumns =
        "revision, batch, compacted, swept, purged, cluster_id, generation_start, system_revision"
    static let meta = PGStatement("d_meta", "SELECT \(metaColumns) FROM drover_meta WHERE id = 1")
    static let lockMeta = PGStatement(
        "d_lock",
        "SELECT \(metaColumns), generation FROM drover_meta WHERE id = 1 FOR UPDATE"
    )

    /// The database's clock in microseconds.
    static let clock = "(extract(epoch FROM clock_timestamp()) * 1000000)::int8"

    // MARK: - Reading

    static let states = PGStatement(
        "d_states",
        """
        SELECT u.place, c.main, c.sub, c.created, c.version, c.lease, c.length, t.main, t.sub
        FROM unnest($1::bytea[]) WITH ORDINALITY AS u (key, place)
        LEFT JOIN LATERAL (SELECT * FROM drover_current WHERE key = u.key OFFSET 0) c ON true
        LEFT JOIN LATERAL (SELECT * FROM drover_tombstone WHERE key = u.key AND c.key IS NULL OFFSET 0) t ON true
        """
    )
    static let points = PGStatement(
        "d_points",
        """
        SELECT m.revision, m.batch, m.compacted, m.swept, m.purged, m.cluster_id, m.generation_start,
            m.system_revision, u.place, c.main, c.sub, c.created, c.version, c.lease,
            CASE WHEN c.length > $2::int8 THEN c.length END, CASE WHEN c.length <= $2::int8 THEN l.value END
        FROM (SELECT * FROM drover_meta WHERE id = 1) m
        LEFT JOIN (
            unnest($1::bytea[]) WITH ORDINALITY AS u (key, place)
            CROSS JOIN LATERAL (SELECT * FROM drover_current WHERE key = u.key OFFSET 0) c
            CROSS JOIN LATERAL (SELECT value FROM drover_log WHERE main = c.main AND sub = c.sub OFFSET 0) l
        ) ON true
        """
    )

    static func scan(bounded: Bool, values: Bool) -> PGStatement {
        let end = bounded ? " AND key < $3" : ""
        let rows = """
            SELECT key, main, sub, created, version, lease, length FROM drover_current
            WHERE key >= $1\(end) ORDER BY key LIMIT $2
            """
        if !values { return PGStatement("d_scan_\(bounded)", rows) }
        let longest = bounded ? "$4::int8" : "$3::int8"
        // What is 0 for most rows, or known from the value, is NULL: a number costs the server a twentieth of a row.
        return PGStatement(
            "d_scan_values_\(bounded)",
            """
            SELECT c.key, c.main, nullif(c.sub, 0), c.created, c.version, nullif(c.lease, 0),
                CASE WHEN c.length > \(longest) THEN c.length END, CASE WHEN c.length <= \(longest) THEN l.value END
            FROM (\(rows)) c
            CROSS JOIN LATERAL (SELECT value FROM drover_log WHERE main = c.main AND sub = c.sub OFFSET 0) l
            ORDER BY c.key
            """
        )
    }

    static func count(bounded: Bool) -> PGStatement {
        PGStatement(
            "d_count_\(bounded)",
            "SELECT count(*) FROM drover_current WHERE key >= $1\(bounded ? " AND key < $2" : "")"
        )
    }

    static func key(bounded: Bool) -> PGStatement {
        PGStatement(
            "d_key_\(bounded)",
            "SELECT key FROM drover_current WHERE key >= $1\(bounded ? " AND key < $3" : "") ORDER BY key OFFSET $2 LIMIT 1"
        )
    }

    static let events = PGStatement(
        "d_events",
        """
        SELECT l.key, l.main, l.sub, l.created, l.version, l.lease, length(l.value),
            CASE WHEN length(l.value) <= $3::int8 THEN l.value END, l.previous_main, l.previous_sub
        FROM unnest($1::int8[], $2::int8[]) AS u (main, sub)
        CROSS JOIN LATERAL (SELECT * FROM drover_log WHERE main = u.main AND sub = u.sub OFFSET 0) l
        """
    )

    static func log(values: Bool) -> PGStatement {
        let value = values ? ", CASE WHEN length(value) <= $4::int8 THEN value END" : ""
        return PGStatement(
            "d_log_\(values)",
            """
            SELECT key, main, sub, created, version, lease, length(value)\(value), previous_main, previous_sub
            FROM drover_log WHERE (main, sub) > ($1::int8, $2::int8) ORDER BY main, sub LIMIT $3
            """
        )
    }

    static let leasesByID = PGStatement(
        "d_leases_by_id",
        "SELECT id, ttl, deadline, \(clock) FROM drover_lease WHERE id = ANY ($1::int8[])"
    )
    /// A renewal that is just being written has the lease locked: it is left out, and so not expired.
    static let leasesLocked = PGStatement(
        "d_leases_locked",
        """
        SELECT id, ttl, deadline, \(clock) FROM drover_lease WHERE id = ANY ($1::int8[])
        ORDER BY id FOR UPDATE SKIP LOCKED
        """
    )
    static let leases = PGStatement(
        "d_leases",
        "SELECT id, ttl, deadline, \(clock) FROM drover_lease ORDER BY deadline, id"
    )
    static let keysOfLease = PGStatement(
        "d_keys_of_lease",
        "SELECT key FROM (SELECT key FROM drover_current WHERE lease = $1 AND lease <> 0 OFFSET 0) k ORDER BY key"
    )
    static let keysOfLeases = PGStatement(
        "d_keys_of_leases",
        """
        SELECT u.place, k.key FROM unnest($1::int8[]) WITH ORDINALITY u(lease, place)
        CROSS JOIN LATERAL (SELECT key FROM drover_current WHERE lease = u.lease AND lease <> 0 OFFSET 0) k
        ORDER BY u.place, k.key LIMIT $2::int8
        """
    )
    static let instances = PGStatement(
        "d_instances",
        """
        SELECT id, name, urls, position, heartbeat FROM drover_instance
        WHERE heartbeat > \(clock) - $1::int8 ORDER BY id
        """
    )
    /// With what lies out of line and the indexes; in use is all but the share of rows that the server counts as dead.
    static let size = PGStatement(
        "d_size",
        """
        SELECT sum(pg_total_relation_size(c.oid))::int8,
            sum(pg_total_relation_size(c.oid) * (greatest(s.n_live_tup, c.reltuples, 0) + 1)::numeric
                / (greatest(s.n_live_tup, c.reltuples, 0) + coalesce(s.n_dead_tup, 0) + 1)::numeric)::int8
        FROM pg_class c LEFT JOIN pg_stat_all_tables s ON s.relid = c.oid WHERE c.oid IN ('drover_log'::regclass, 'drover_current'::regclass,
            'drover_tombstone'::regclass, 'drover_lease'::regclass, 'drover_meta'::regclass,
            'drover_instance'::regclass)
        """
    )

    // MARK: - Writing

    /// The fence: a counter that has moved makes it an error, and with it the batch.
    static let fence = PGStatement(
        "d_fence",
        """
        UPDATE drover_meta SET batch = CASE WHEN batch = $1::int8 THEN $1::int8 + 1 END, revision = $2::int8,
            compacted = $3::int8 WHERE id = 1
        """
    )
    /// Ends other instances' sessions that hold the counter's row and have stood still for as long as one may that is idle in a
    /// transaction. The server takes one for idle only from the end of a flight's part on (`Sync`): one whose client is stopped
    /// after a whole statement and before that has no limit of its own. Source: PostgreSQL, `idle_in_transaction_session_timeout`
    /// and the extended query protocol.
    static let endStuckWriters = """
        SELECT pg_terminate_backend(a.pid) FROM pg_stat_activity a
        WHERE a.datname = current_database() AND a.usename = current_user AND a.pid <> pg_backend_pid()
            AND a.application_name = current_setting('application_name') AND a.backend_xid IS NOT NULL
            AND a.wait_event = 'ClientRead' AND a.state_change < clock_timestamp() - interval '3.5 seconds'
            AND EXISTS (SELECT 1 FROM pg_locks l
                WHERE l.pid = a.pid AND l.granted AND l.relation = 'drover_meta'::regclass AND l.mode = 'RowShareLock')
        """
    static let insertLog = PGStatement(
        "d_insert_log",
        """
        INSERT INTO drover_log (main, sub, previous_main, previous_sub, created, version, lease, key, value)
        SELECT * FROM unnest($1::int8[], $2::int8[], $3::int8[], $4::int8[], $5::int8[], $6::int8[], $7::int8[],
            $8::bytea[], $9::bytea[])
        """
    )
    static let upsertCurrent = PGStatement(
        "d_upsert_current",
        """
        INSERT INTO drover_current (key, main, sub, created, version, lease, length)
        SELECT * FROM unnest($1::bytea[], $2::int8[], $3::int8[], $4::int8[], $5::int8[], $6::int8[], $7::int8[])
        ON CONFLICT (key) DO UPDATE SET main = excluded.main, sub = excluded.sub, created = excluded.created,
            version = excluded.version, lease = excluded.lease, length = excluded.length
        """
    )
    static let deleteCurrent = PGStatement(
        "d_delete_current",
        "DELETE FROM drover_current WHERE key = ANY ($1::bytea[])"
    )
    static let upsertTombstone = PGStatement(
        "d_upsert_tombstone",
        """
        INSERT INTO drover_tombstone (key, main, sub) SELECT * FROM unnest($1::bytea[], $2::int8[], $3::int8[])
        ON CONFLICT (key) DO UPDATE SET main = excluded.main, sub = excluded.sub
        """
    )
    static let deleteTombstone = PGStatement(
        "d_delete_tombstone",
        "DELETE FROM drover_tombstone WHERE key = ANY ($1::bytea[])"
    )
    static let insertLeases = PGStatement(
        "d_insert_leases",
        """
        INSERT INTO drover_lease (id, ttl, deadline)
        SELECT u.id, u.ttl, least(\(clock)::numeric + u.ttl::numeric * 1000000, 9223372036854775807)::int8
        FROM unnest($1::int8[], $2::int8[]) AS u (id, ttl)
        """
    )
    static let updateSystem = PGStatement(
        "d_update_system",
        """
        INSERT INTO drover_system VALUES (1, $1::bytea) ON CONFLICT (id) DO UPDATE SET state = excluded.state
        """
    )
    static let moveSystem = PGStatement(
        "d_move_system",
        "UPDATE drover_meta SET system_revision = $1::int8 WHERE id = 1"
    )
    static let system = PGStatement("d_system", "SELECT state FROM drover_system WHERE id = 1")
    static let deleteLeases = PGStatement("d_delete_leases", "DELETE FROM drover_lease WHERE id = ANY ($1::int8[])")
    static let recordBatch = PGStatement(
        "d_record_batch",
        """
        INSERT INTO drover_instance (id, name, urls, batch, position, heartbeat)
        VALUES ($1::int8, '', '', $2::int8, 9223372036854775807, \(clock))
        ON CONFLICT (id) DO UPDATE SET batch = excluded.batch
        """
    )
    static let notify = PGStatement("d_notify", "SELECT pg_notify('drover', '')")
    static let recordGeneration = PGStatement(
        "d_record_generation",
        "UPDATE drover_meta SET generation = $1::text, generation_start = revision, batch = batch + 1 WHERE id = 1"
    )
    static let ownBatch = PGStatement("d_own_batch", "SELECT batch FROM drover_instance WHERE id = $1::int8")
    static let moveBatch = PGStatement("d_move_batch", "UPDATE drover_meta SET batch = batch + 1 WHERE id = 1")

    // MARK: - The sweep

    static let sweepRows = PGStatement(
        "d_sweep_rows",
        """
        SELECT main, sub, previous_main, previous_sub, version, CASE WHEN version = 0 THEN key ELSE ''::bytea END
        FROM drover_log WHERE (main, sub) > ($1::int8, $2::int8) AND main <= $3::int8 ORDER BY main, sub LIMIT $4
        """
    )
    /// Rows of one place in each of several revisions, and of several places in one revision.
    static let deleteLogBySub = PGStatement(
        "d_delete_log_sub",
        "DELETE FROM drover_log WHERE main = ANY ($1::int8[]) AND sub = $2::int8"
    )
    static let deleteLogByMain = PGStatement(
        "d_delete_log_main",
        "DELETE FROM drover_log WHERE main = $1::int8 AND sub = ANY ($2::int8[])"
    )
    /// A key may have been created and deleted again since: the tombstone of that deletion stays. Where the places of one
    /// fit another's key, the same sweep takes both.
    static let sweepTombstones = PGStatement(
        "d_sweep_tombstones",
        """
        DELETE FROM drover_tombstone
        WHERE key = ANY ($1::bytea[]) AND main = ANY ($2::int8[]) AND sub = ANY ($3::int8[])
        """
    )
    static let markPurged = PGStatement(
        "d_mark_purged",
        "UPDATE drover_meta SET purged = greatest(purged, $1::int8) WHERE id = 1"
    )
    static let markSwept = PGStatement(
        "d_mark_swept",
        "UPDATE drover_meta SET swept = greatest(swept, $1::int8) WHERE id = 1"
    )

    // MARK: - The link

    static let heartbeat = PGStatement(
        "d_heartbeat",
        """
        INSERT INTO drover_instance (id, name, urls, batch, position, heartbeat)
        VALUES ($1::int8, $2::text, $3::text, 0, $4::int8, \(clock))
        ON CONFLICT (id) DO UPDATE SET name = excluded.name, urls = excluded.urls, position = excluded.position,
            heartbeat = excluded.heartbeat
        """
    )
    static let forgetInstances = PGStatement(
        "d_forget_instances",
        "DELETE FROM drover_instance WHERE heartbeat < \(clock) - $1::int8"
    )
    static let leaveInstance = PGStatement("d_leave", "DELETE FROM drover_instance WHERE id = $1::int8")
    /// In the order of their ids, so that two instances that renew the same leases do not wait for each other.
    static let renew = PGStatement(
        "d_renew",
        """
        UPDATE drover_lease
        SET deadline = least(\(clock)::numeric + ttl::numeric * 1000000, 9223372036854775807)::int8
        WHERE id = ANY (ARRAY (
            SELECT l.id FROM (SELECT id FROM drover_lease WHERE id = ANY ($1::int8[]) ORDER BY id FOR UPDATE) l
        ))
        RETURNING id, ttl
        """
    )
    static let expired = PGStatement(
        "d_expired",
        "SELECT id FROM drover_lease WHERE deadline <= (SELECT \(clock)) ORDER BY deadline LIMIT $1"
    )
    static let now = PGStatement("d_now", "SELECT \(clock)")
    /// In the order of their ids, as renewals are.
    static let rearm = PGStatement(
        "d_rearm",
        """
        UPDATE drover_lease
        SET deadline = least(\(clock)::numeric + ttl::numeric * 1000000, 9223372036854775807)::int8
        WHERE id = ANY (ARRAY (
            SELECT l.id FROM (
                SELECT id FROM drover_lease WHERE id >= $1::int8 ORDER BY id LIMIT $2::int8 FOR UPDATE
            ) l
        ))
        RETURNING id
        """
    )
    static let leaseCount = PGStatement("d_lease_count", "SELECT count(*) FROM drover_lease")
}
