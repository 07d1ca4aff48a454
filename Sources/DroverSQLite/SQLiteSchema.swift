import Drover

/// The tables, and how an older file becomes a newer one.
enum SQLiteSchema {
    /// `PRAGMA application_id` of our files: "DRVR".
    static let applicationID: Int64 = 0x4452_5652
    /// `PRAGMA user_version` of the newest schema.
    static let version: Int64 = 2

    // The columns of a log row before the value fit its first page, so that chains and the sweep never load values.
    static let create = """
        CREATE TABLE drover_meta (
            id INTEGER PRIMARY KEY CHECK (id = 1),
            revision INTEGER NOT NULL,
            batch INTEGER NOT NULL,
            compacted INTEGER NOT NULL,
            swept INTEGER NOT NULL,
            cluster_id INTEGER NOT NULL,
            member_id INTEGER NOT NULL,
            system_revision INTEGER NOT NULL DEFAULT 0
        );
        CREATE TABLE drover_log (
            id INTEGER PRIMARY KEY,
            previous INTEGER NOT NULL,
            created INTEGER NOT NULL,
            version INTEGER NOT NULL,
            lease INTEGER NOT NULL,
            key BLOB NOT NULL,
            value BLOB NOT NULL
        );
        CREATE TABLE drover_current (
            key BLOB PRIMARY KEY,
            id INTEGER NOT NULL,
            created INTEGER NOT NULL,
            version INTEGER NOT NULL,
            lease INTEGER NOT NULL,
            length INTEGER NOT NULL
        ) WITHOUT ROWID;
        CREATE INDEX drover_current_lease ON drover_current (lease) WHERE lease <> 0;
        CREATE TABLE drover_tombstone (
            key BLOB PRIMARY KEY,
            id INTEGER NOT NULL
        ) WITHOUT ROWID;
        CREATE TABLE drover_lease (
            id INTEGER PRIMARY KEY,
            ttl INTEGER NOT NULL
        );
        CREATE TABLE drover_wide (
            main INTEGER PRIMARY KEY,
            extra INTEGER NOT NULL
        );
        CREATE TABLE drover_system (
            id INTEGER PRIMARY KEY CHECK (id = 1),
            state BLOB NOT NULL
        );
        """

    /// Checks that the file is empty, or ours and not newer than this program. Writes nothing: a file of another
    /// application stays as it is.
    ///
    /// - Returns: the version of its schema; nil of an empty file.
    static func check(_ connection: SQLiteConnection) throws -> Int64? {
        let application = try connection.integer("PRAGMA application_id") ?? 0
        let version = try connection.integer("PRAGMA user_version") ?? 0
        if application != applicationID {
            let objects = try connection.integer("SELECT count(*) FROM sqlite_schema") ?? 0
            guard application == 0, version == 0, objects == 0 else {
                throw DriverFailure(
                    .unavailable,
                    "the SQLite file belongs to another application; name another file, or an empty one"
                )
            }
            return nil
        }
        if version > self.version {
            throw DriverFailure(
                .unavailable,
                "the SQLite file has schema \(version), made by a newer Drover; this one knows \(self.version). Upgrade Drover, or restore a backup made by this version"
            )
        }
        return version
    }

    /// What makes the schema of each version the next one's, from version 1 on.
    private static let migrations = [
        """
        ALTER TABLE drover_meta ADD COLUMN system_revision INTEGER NOT NULL DEFAULT 0;
        CREATE TABLE drover_system (
            id INTEGER PRIMARY KEY CHECK (id = 1),
            state BLOB NOT NULL
        );
        """
    ]

    /// Creates the tables in an empty file, or brings those of an older version up to date, in one transaction.
    static func prepare(_ connection: SQLiteConnection) throws {
        let present = try check(connection)
        if present == version { return }
        if let present, present < 1 {
            throw DriverFailure(.corrupt, "the SQLite file has no schema version; restore it from a backup")
        }
        try connection.execute("BEGIN IMMEDIATE")
        do {
            if let present {
                for migration in migrations.dropFirst(Int(present) - 1) { try connection.execute(migration) }
            } else {
                try connection.execute(create)
                let cluster = Int64.random(in: 1...Int64.max)
                let member = Int64.random(in: 1...Int64.max)
                try connection.execute("INSERT INTO drover_meta VALUES (1, 1, 0, 0, 0, \(cluster), \(member), 0)")
                try connection.execute("PRAGMA application_id = \(applicationID)")
            }
            try connection.execute("PRAGMA user_version = \(version)")
            try connection.execute("COMMIT")
        } catch {
            try? connection.execute("ROLLBACK")
            throw error
        }
    }
}
