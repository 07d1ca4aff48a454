import CSQLite
import Drover

extension SQLiteWriter {
    /// A connection with its statements.
    final class Open {
        let connection: SQLiteConnection
        let view: SQLiteView
        let frames = WALFrames()
        /// Where a slice of the log ends; made when it is first needed.
        var pin: SnapshotPin?
        var schedule = CheckpointSchedule()
        let pageBytes: Int64
        let begin, commit, rollback: SQLiteStatement
        let updateMeta, insertLog, insertCurrent, updateCurrent, deleteCurrent: SQLiteStatement
        let insertTombstone, deleteTombstone: SQLiteStatement
        let insertLease, deleteLease, insertWide, updateSystem, moveSystem: SQLiteStatement
        let sweepRows, deleteLog, sweepTombstone, updateSwept: SQLiteStatement

        init(_ driver: SQLiteDriver) throws {
            let connection = try SQLiteConnection(path: driver.path, writes: true)
            self.connection = connection
            _ = try SQLiteSchema.check(connection)
            // Has an effect on an empty file alone.
            try connection.execute("PRAGMA page_size = \(driver.configuration.pageBytes)")
            let mode = try connection.prepare("PRAGMA journal_mode = WAL")
            guard try mode.step(), String(decoding: mode.bytes(0), as: UTF8.self) == "wal" else {
                throw DriverFailure(
                    .unavailable,
                    "the file system does not support SQLite's write-ahead log; use a local file system, not a network one"
                )
            }
            mode.reset()
            // A write is acknowledged when it would survive a loss of power.
            try connection.execute("PRAGMA synchronous = FULL")
            try connection.execute("PRAGMA wal_autocheckpoint = 0")
            try connection.execute("PRAGMA secure_delete = OFF")
            try connection.execute("PRAGMA temp_store = MEMORY")
            try connection.execute("PRAGMA foreign_keys = OFF")
            try connection.execute("PRAGMA journal_size_limit = \(driver.configuration.walLimitBytes / 4)")
            try connection.execute("PRAGMA cache_size = -\(driver.configuration.writerCacheKiB)")
            try SQLiteSchema.prepare(connection)
            pageBytes = try connection.integer("PRAGMA page_size") ?? 4_096
            sqlite3_wal_hook(
                connection.handle,
                { context, _, _, frames in
                    Unmanaged<WALFrames>.fromOpaque(context!).takeUnretainedValue().report(frames)
                    return SQLITE_OK
                },
                Unmanaged.passUnretained(frames).toOpaque()
            )
            view = try SQLiteView(connection, driver)
            begin = try connection.prepare("BEGIN IMMEDIATE")
            commit = try connection.prepare("COMMIT")
            rollback = try connection.prepare("ROLLBACK")
            // The fence: it fails, and with it the batch, if anyone else has moved the counter.
            updateMeta = try connection.prepare(
                """
                UPDATE drover_meta SET revision = ?1, compacted = ?2,
                    batch = CASE WHEN batch = ?3 THEN ?3 + 1 END
                """
            )
            insertLog = try connection.prepare("INSERT INTO drover_log VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)")
            insertCurrent = try connection.prepare("INSERT INTO drover_current VALUES (?1, ?2, ?3, ?4, ?5, ?6)")
            updateCurrent = try connection.prepare(
                "UPDATE drover_current SET id = ?2, created = ?3, version = ?4, lease = ?5, length = ?6 WHERE key = ?1"
            )
            deleteCurrent = try connection.prepare("DELETE FROM drover_current WHERE key = ?1")
            insertTombstone = try connection.prepare("INSERT OR REPLACE INTO drover_tombstone VALUES (?1, ?2)")
            deleteTombstone = try connection.prepare("DELETE FROM drover_tombstone WHERE key = ?1")
            insertLease = try connection.prepare("INSERT OR REPLACE INTO drover_lease VALUES (?1, ?2)")
            deleteLease = try connection.prepare("DELETE FROM drover_lease WHERE id = ?1")
            insertWide = try connection.prepare("INSERT INTO drover_wide VALUES (?1, ?2)")
            updateSystem = try connection.prepare("INSERT OR REPLACE INTO drover_system VALUES (1, ?1)")
            moveSystem = try connection.prepare("UPDATE drover_meta SET system_revision = ?1")
            sweepRows = try connection.prepare(
                """
                SELECT id, previous, version, key FROM drover_log WHERE id >= ?1 AND id < ?2 ORDER BY id LIMIT ?3
                """
            )
            deleteLog = try connection.prepare("DELETE FROM drover_log WHERE id = ?1")
            sweepTombstone = try connection.prepare("DELETE FROM drover_tombstone WHERE key = ?1 AND id = ?2")
            updateSwept = try connection.prepare("UPDATE drover_meta SET swept = ?1")
        }

        func wideRevisions() throws -> [(main: Int64, extra: Int64)] {
            let statement = try connection.prepare("SELECT main, extra FROM drover_wide ORDER BY main")
            var rows: [(Int64, Int64)] = []
            while try statement.step() { rows.append((statement.integer(0), statement.integer(1))) }
            return rows
        }
    }
}
