import Drover

/// The tables, and how an older schema becomes a newer one.
enum MySQLSchema {
    static let version: Int64 = 2

    // `k` and `v` are short for key and value, which SQL keeps for itself. Ratios of the row format: keys are whole in
    // the index, long values lie on pages of their own.
    private static func tables(keyBytes: Int) -> [String] {
        [
            """
            CREATE TABLE IF NOT EXISTS drover_meta (
                id INT PRIMARY KEY,
                schema_version BIGINT NOT NULL,
                revision BIGINT NOT NULL,
                batch BIGINT NOT NULL,
                compacted BIGINT NOT NULL,
                swept BIGINT NOT NULL,
                purged BIGINT NOT NULL,
                cluster_id BIGINT NOT NULL,
                generation VARCHAR(255) CHARACTER SET ascii NOT NULL,
                generation_start BIGINT NOT NULL,
                writer BIGINT NOT NULL,
                system_revision BIGINT NOT NULL DEFAULT 0
            ) ENGINE = InnoDB
            """,
            """
            CREATE TABLE IF NOT EXISTS drover_log (
                main BIGINT NOT NULL,
                sub BIGINT NOT NULL,
                previous_main BIGINT NOT NULL,
                previous_sub BIGINT NOT NULL,
                created BIGINT NOT NULL,
                version BIGINT NOT NULL,
                lease BIGINT NOT NULL,
                k VARBINARY(\(keyBytes)) NOT NULL,
                v LONGBLOB NOT NULL,
                PRIMARY KEY (main, sub)
            ) ENGINE = InnoDB ROW_FORMAT = DYNAMIC
            """,
            """
            CREATE TABLE IF NOT EXISTS drover_current (
                k VARBINARY(\(keyBytes)) NOT NULL PRIMARY KEY,
                main BIGINT NOT NULL,
                sub BIGINT NOT NULL,
                created BIGINT NOT NULL,
                version BIGINT NOT NULL,
                lease BIGINT NOT NULL,
                length BIGINT NOT NULL
            ) ENGINE = InnoDB ROW_FORMAT = DYNAMIC
            """,
            """
            CREATE TABLE IF NOT EXISTS drover_tombstone (
                k VARBINARY(\(keyBytes)) NOT NULL PRIMARY KEY,
                main BIGINT NOT NULL,
                sub BIGINT NOT NULL
            ) ENGINE = InnoDB ROW_FORMAT = DYNAMIC
            """,
            """
            CREATE TABLE IF NOT EXISTS drover_lease (
                id BIGINT PRIMARY KEY,
                ttl BIGINT NOT NULL,
                deadline BIGINT NOT NULL,
                KEY drover_lease_deadline (deadline)
            ) ENGINE = InnoDB
            """,
            """
            CREATE TABLE IF NOT EXISTS drover_lease_key (
                lease BIGINT NOT NULL,
                k VARBINARY(\(keyBytes)) NOT NULL,
                PRIMARY KEY (lease, k)
            ) ENGINE = InnoDB ROW_FORMAT = DYNAMIC
            """,
            """
            CREATE TABLE IF NOT EXISTS drover_instance (
                id BIGINT PRIMARY KEY,
                name VARBINARY(255) NOT NULL,
                urls BLOB NOT NULL,
                batch BIGINT NOT NULL,
                position BIGINT NOT NULL,
                heartbeat BIGINT NOT NULL
            ) ENGINE = InnoDB
            """,
            system,
        ]
    }

    private static let system =
        "CREATE TABLE IF NOT EXISTS drover_system (id INT PRIMARY KEY, state LONGBLOB NOT NULL) ENGINE = InnoDB"

    /// What makes the schema of each version the next one's, from version 1 on. Instances of the older version may be
    /// serving meanwhile, and go on.
    private static let migrations = [
        [system, "ALTER TABLE drover_meta ADD COLUMN system_revision BIGINT NOT NULL DEFAULT 0"]
    ]

    private static func migrate(_ connection: MySQLConnection, from present: Int64) throws {
        for statement in migrations.dropFirst(Int(present) - 1).joined() {
            do {
                try connection.query(statement)
            } catch let failure as DriverFailure where failure.engineCode == 1_060 {
                // Another instance was there first: the column exists.
            }
        }
        try connection.query(
            "UPDATE drover_meta SET schema_version = greatest(schema_version, \(version)) WHERE id = 1"
        )
    }

    /// Creates the tables where they are missing, or checks that they are ours and not newer than this program.
    static func prepare(_ connection: MySQLConnection, keyBytes: Int) throws {
        let found = try connection.query(
            "SELECT count(*) FROM information_schema.tables WHERE table_schema = database() AND table_name = 'drover_meta'"
        )[0]!
        if found.next() && found.integer(0) == 0 {
            // The one that is looked for comes last: each is committed by itself, and a start may be cut off in between.
            let all = tables(keyBytes: keyBytes)
            for table in all.dropFirst() + all.prefix(1) { try connection.query(table) }
            try connection.query(
                "INSERT IGNORE INTO drover_meta VALUES (1, \(version), 1, 0, 0, 0, 0, \(Int64.random(in: 1...Int64.max)), '', 1, 0, 0)"
            )
        }
        let known: MySQLResult
        do {
            known = try connection.query(
                "SELECT schema_version FROM drover_meta WHERE id = 1 AND generation IS NOT NULL"
            )[0]!
        } catch let failure as DriverFailure where failure.engineCode == 1_054 {
            throw foreign("drover_meta", failure)
        }
        guard known.next() else {
            // Another instance is between creating the tables and the row, or the row is gone.
            try connection.query(
                "INSERT IGNORE INTO drover_meta SELECT 1, \(version), 1, 0, 0, 0, 0, \(Int64.random(in: 1...Int64.max)), '', 1, 0, 0 FROM DUAL WHERE NOT EXISTS (SELECT 1 FROM drover_log)"
            )
            try expectRoom(connection, keyBytes: keyBytes)
            return
        }
        let present = known.integer(0)
        if present > version {
            throw DriverFailure(
                .unavailable,
                "the database has schema \(present), made by a newer Drover; this one knows \(version). Upgrade Drover, or restore a backup made by this version"
            )
        }
        if present < version { try migrate(connection, from: present) }
        for (table, columns) in columns {
            do {
                _ = try connection.query("SELECT \(columns) FROM \(table) LIMIT 0")
            } catch let failure as DriverFailure where failure.engineCode == 1_054 {
                throw foreign(table, failure)
            }
        }
        try expectRoom(connection, keyBytes: keyBytes)
    }

    /// A key that the store lets pass must fit into every table: a batch could not be written otherwise.
    private static func expectRoom(_ connection: MySQLConnection, keyBytes: Int) throws {
        let room = try connection.query(
            "SELECT min(character_maximum_length) FROM information_schema.columns WHERE table_schema = database() AND table_name IN ('drover_log', 'drover_current', 'drover_tombstone', 'drover_lease_key') AND column_name = 'k'"
        )[0]!
        guard room.next(), !room.isNull(0), room.integer(0) < keyBytes else { return }
        throw DriverFailure(
            .unavailable,
            "the tables were made for keys of \(room.integer(0)) bytes, and maximumKeyBytes is \(keyBytes); set it to that, or lengthen the column `k` of drover_log, drover_current, drover_tombstone and drover_lease_key"
        )
    }

    /// What tables of these names have when they are ours.
    private static let columns = [
        ("drover_log", "main, sub, previous_main, previous_sub, created, version, lease, k, v"),
        ("drover_current", "k, main, sub, created, version, lease, length"), ("drover_tombstone", "k, main, sub"),
        ("drover_lease", "id, ttl, deadline"), ("drover_lease_key", "lease, k"),
        ("drover_instance", "id, name, urls, batch, position, heartbeat"), ("drover_system", "id, state"),
    ]

    private static func foreign(_ table: String, _ failure: DriverFailure) -> DriverFailure {
        DriverFailure(
            .unavailable,
            "the table \(table) belongs to another application; use another database",
            engineCode: failure.engineCode
        )
    }
}
