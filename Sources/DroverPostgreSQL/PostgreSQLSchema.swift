import Drover

/// The tables, and how an older schema becomes a newer one.
enum PostgreSQLSchema {
    static let version: Int64 = 2

    private static let tables = [
        """
        CREATE TABLE IF NOT EXISTS drover_meta (
            id int4 PRIMARY KEY CHECK (id = 1),
            schema_version int8 NOT NULL,
            revision int8 NOT NULL,
            batch int8 NOT NULL,
            compacted int8 NOT NULL,
            swept int8 NOT NULL,
            purged int8 NOT NULL,
            cluster_id int8 NOT NULL,
            generation text NOT NULL,
            generation_start int8 NOT NULL,
            system_revision int8 NOT NULL DEFAULT 0
        ) WITH (fillfactor = 10)
        """,
        """
        CREATE TABLE IF NOT EXISTS drover_log (
            main int8 NOT NULL,
            sub int8 NOT NULL,
            previous_main int8 NOT NULL,
            previous_sub int8 NOT NULL,
            created int8 NOT NULL,
            version int8 NOT NULL,
            lease int8 NOT NULL,
            key bytea NOT NULL,
            value bytea NOT NULL,
            PRIMARY KEY (main, sub)
        )
        """,
        """
        CREATE TABLE IF NOT EXISTS drover_current (
            key bytea PRIMARY KEY,
            main int8 NOT NULL,
            sub int8 NOT NULL,
            created int8 NOT NULL,
            version int8 NOT NULL,
            lease int8 NOT NULL,
            length int8 NOT NULL
        ) WITH (fillfactor = 80)
        """,
        "CREATE INDEX IF NOT EXISTS drover_current_lease ON drover_current (lease) WHERE lease <> 0",
        """
        CREATE TABLE IF NOT EXISTS drover_tombstone (
            key bytea PRIMARY KEY,
            main int8 NOT NULL,
            sub int8 NOT NULL
        )
        """,
        """
        CREATE TABLE IF NOT EXISTS drover_lease (
            id int8 PRIMARY KEY,
            ttl int8 NOT NULL,
            deadline int8 NOT NULL
        ) WITH (fillfactor = 50)
        """,
        "CREATE INDEX IF NOT EXISTS drover_lease_deadline ON drover_lease (deadline)",
        """
        CREATE TABLE IF NOT EXISTS drover_instance (
            id int8 PRIMARY KEY,
            name text NOT NULL,
            urls text NOT NULL,
            batch int8 NOT NULL,
            position int8 NOT NULL,
            heartbeat int8 NOT NULL
        ) WITH (fillfactor = 50)
        """,
        system,
    ]

    private static let system =
        "CREATE TABLE IF NOT EXISTS drover_system (id int4 PRIMARY KEY CHECK (id = 1), state bytea NOT NULL)"

    /// What makes the schema of each version the next one's, from version 1 on. Instances of the older version may be
    /// serving meanwhile, and go on.
    private static let migrations = [
        ["ALTER TABLE drover_meta ADD COLUMN IF NOT EXISTS system_revision int8 NOT NULL DEFAULT 0", system]
    ]

    /// Creates the tables where they are missing, or checks that they are ours and not newer than this program.
    static func prepare(_ connection: PGConnection) throws {
        for attempt in 1... {
            do {
                return try prepareOnce(connection)
            } catch let failure as DriverFailure {
                // Two instances that start at once may both create: the second one finds the first one's tables.
                let raced = [PGFailure.code("23505"), PGFailure.code("42P07")]
                guard raced.contains(failure.engineCode), attempt < 10 else { throw failure }
            }
        }
    }

    private static func prepareOnce(_ connection: PGConnection) throws {
        let found = try connection.query("SELECT to_regclass('drover_meta') IS NOT NULL")
        if found[0].integer(0, 0) == 0 {
            do {
                for (i, sql) in (["BEGIN"] + tables).enumerated() {
                    try connection.send(PGStatement("d_schema_\(version)_\(i)", sql))
                    try connection.land()
                }
                var parameters = PGParameters()
                parameters.add(version)
                parameters.add(Int64.random(in: 1...Int64.max))
                try connection.send(
                    PGStatement(
                        "d_schema_meta",
                        """
                        INSERT INTO drover_meta VALUES (1, $1::int8, 1, 0, 0, 0, 0, $2::int8, '', 1, 0)
                        ON CONFLICT DO NOTHING
                        """
                    ),
                    parameters
                )
                try connection.send(PGStatements.commit)
                try connection.land()
            } catch {
                if !connection.isBroken { _ = try? connection.query("ROLLBACK") }
                // An index on somebody else's table.
                if (error as? DriverFailure)?.engineCode == PGFailure.code("42703") { try checkColumns(connection) }
                throw error
            }
        }
        let known: [PGResult]
        do {
            known = try connection.query(
                "SELECT schema_version FROM drover_meta WHERE id = 1 AND generation IS NOT NULL"
            )
        } catch let failure as DriverFailure where failure.engineCode == PGFailure.code("42703") {
            throw foreign("drover_meta")
        }
        guard known[0].rows == 1 else {
            throw DriverFailure(.corrupt, "drover_meta has lost its row; restore the database from a backup")
        }
        let present = known[0].integer(0, 0)
        if present > version {
            throw DriverFailure(
                .unavailable,
                "the database has schema \(present), made by a newer Drover; this one knows \(version). Upgrade Drover, or restore a backup made by this version"
            )
        }
        if present < version { try migrate(connection, from: present) }
        try checkColumns(connection)
    }

    /// Whether the tables that are there are ours.
    private static func checkColumns(_ connection: PGConnection) throws {
        for (table, columns) in columns {
            do {
                _ = try connection.query("SELECT \(columns) FROM \(table) LIMIT 0")
            } catch let failure as DriverFailure where failure.engineCode == PGFailure.code("42703") {
                throw foreign(table)
            } catch let failure as DriverFailure where failure.engineCode == PGFailure.code("42P01") {
                // There is none of this name.
            }
        }
    }

    /// What tables of these names have when they are ours.
    private static let columns = [
        ("drover_log", "main, sub, previous_main, previous_sub, created, version, lease, key, value"),
        ("drover_current", "key, main, sub, created, version, lease, length"), ("drover_tombstone", "key, main, sub"),
        ("drover_lease", "id, ttl, deadline"), ("drover_instance", "id, name, urls, batch, position, heartbeat"),
        ("drover_system", "id, state"),
    ]

    private static func foreign(_ table: String) -> DriverFailure {
        DriverFailure(
            .unavailable,
            "the table \(table) belongs to another application; use another database or schema (search_path)"
        )
    }

    /// What engines that speak PostgreSQL's protocol and have no locks of tables say: not supported, or a syntax error.
    private static let withoutTableLocks = [PGFailure.code("0A000"), PGFailure.code("42601")]

    private static func migrate(_ connection: PGConnection, from present: Int64) throws {
        do {
            _ = try connection.query("BEGIN")
            // One at a time: the others find it done. Who has the row alone and then wants the table would wait for all
            // who wait for the row.
            do {
                _ = try connection.query("LOCK TABLE drover_meta IN ACCESS EXCLUSIVE MODE")
            } catch let failure as DriverFailure where withoutTableLocks.contains(failure.engineCode) {
                _ = try connection.query("ROLLBACK")
                _ = try connection.query("BEGIN")
                _ = try connection.query("SELECT 1 FROM drover_meta WHERE id = 1 FOR UPDATE")
            }
            for statement in migrations.dropFirst(Int(present) - 1).joined() { _ = try connection.query(statement) }
            _ = try connection.query("UPDATE drover_meta SET schema_version = greatest(schema_version, \(version))")
            _ = try connection.query("COMMIT")
        } catch {
            if !connection.isBroken { _ = try? connection.query("ROLLBACK") }
            throw error
        }
    }
}
