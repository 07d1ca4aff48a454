public import Drover
public import Logging

/// The backend on a MySQL or MariaDB server, or a cluster of them, which any number of instances may share.
public final class MySQLDriver: Driver, DriverProvider {
    public static let schemes = ["mysql", "mariadb"]

    /// Microseconds without a heartbeat after which an instance is taken for gone.
    static let lifetime: Int64 = 10_000_000
    /// Microseconds after which what is known of an instance is forgotten.
    static let memory: Int64 = 3_600_000_000

    public let name = "mysql"
    public let maximumKeyBytes: Int
    public let isShared = true

    let configuration: MySQLConfiguration
    let logger: Logger
    let history = HistoryGuard()
    let rows: RowCache
    public var rowCache: RowCache? { rows }
    let availability = Availability()
    /// This instance's id, random, as old as the object.
    let instanceID = UInt64.random(in: 1...UInt64(Int64.max))

    /// A driver for the database that `configuration` names; nothing is opened yet.
    public init(_ configuration: MySQLConfiguration, logger: Logger = Logger(label: "drover.mysql")) {
        self.configuration = configuration
        self.logger = logger
        rows = RowCache(bytes: configuration.cachedRowBytes)
        maximumKeyBytes = configuration.maximumKeyBytes
    }

    public static func makeDriver(endpoint: String, options: DriverOptions) throws -> any Driver {
        var configuration = try MySQLConfiguration(endpoint: endpoint)
        if !configuration.tls.isSet { configuration.tls = options.tls }
        configuration.cachedRowBytes = options.cachedRowBytes
        return MySQLDriver(configuration, logger: options.logger)
    }

    // What a server does not know of these it refuses, and goes without: each of the two engines has some of its own.
    private static func settings(isolation: String) -> [String] {
        [
            // Bytes are bytes: in some character sets of two bytes a letter, a backslash may be a letter's second half.
            // The connection asks for it already, and a server may be told not to heed that.
            "SET NAMES binary",
            "SET SESSION sql_mode = 'STRICT_ALL_TABLES,NO_ENGINE_SUBSTITUTION'",
            "SET SESSION time_zone = '+00:00'",
            "SET SESSION autocommit = 1",
            // A wait is begun anew until the calls have waited for as long as etcd lets them.
            "SET SESSION innodb_lock_wait_timeout = 2",
            "SET SESSION lock_wait_timeout = 2",
            // Limits that the server has for applications: MariaDB's, and MySQL's.
            "SET SESSION max_statement_time = 0",
            "SET SESSION max_execution_time = 0",
            // Of longer strings MariaDB would compare the first part only when it sorts or groups.
            "SET SESSION max_sort_length = 4096",
            // However long a list of keys is, the table is not read for it: MySQL's.
            "SET SESSION range_optimizer_max_mem_size = 0",
            // Sizes of tables as they are now, not as they were yesterday: MySQL's.
            "SET SESSION information_schema_stats_expiry = 0",
            // A session that stops in the middle of a batch must not hold others up for long: MariaDB's.
            "SET SESSION idle_transaction_timeout = 4",
            // The length of a chain of events: MariaDB's, and MySQL's.
            "SET SESSION max_recursive_iterations = 4294967295",
            "SET SESSION cte_max_recursion_depth = 4294967295",
            // A read on one node of a Galera cluster sees what was acknowledged on another.
            "SET SESSION wsrep_sync_wait = 1",
            // So does one on a member of a replication group, with one primary or several.
            "SET SESSION group_replication_consistency = 'BEFORE'",
            // MariaDB would make a subquery of a long list, and may scan the table for it.
            "SET SESSION in_predicate_conversion_threshold = 0",
            "SET SESSION TRANSACTION ISOLATION LEVEL \(isolation)",
        ]
            // Nor one that stops while it is sent what it asked for in a batch. Readers hold nobody up.
            + (isolation == writing ? ["SET SESSION net_write_timeout = 4"] : [])
    }

    /// The isolation of sessions that write.
    static let writing = "READ COMMITTED"

    func connect(isolation: String, answerSeconds: UInt32 = 60) throws -> MySQLConnection {
        let known = try history.floor()
        // It may be another server by now, and not every one says whose history it has.
        rows.removeAll()
        let turn = availability.turn
        let connection = try MySQLConnection(
            configuration,
            settings: Self.settings(isolation: isolation),
            answerSeconds: answerSeconds
        )
        connection.connectedAt = known
        connection.madeIn = turn
        // The fence rests on it: without it a NULL in a NOT NULL column becomes 0.
        let mode = try connection.query(
            "SELECT @@sql_mode LIKE '%STRICT_ALL_TABLES%', @@sql_mode LIKE '%NO_BACKSLASH%', @@character_set_client = 'binary'"
        )[0]!
        guard mode.next(), mode.integer(0) == 1, mode.integer(1) == 0 else {
            throw DriverFailure(.unavailable, "this server does not let a session turn strict mode on")
        }
        guard mode.integer(2) == 1 else {
            throw DriverFailure(.unavailable, "this server does not let a session use the character set `binary`")
        }
        return connection
    }

    public func openWriter() throws -> any DriverWriter {
        do {
            let connection = try connectCreatingDatabase()
            try MySQLSchema.prepare(connection, keyBytes: maximumKeyBytes)
            // One of its own, with the time that a batch has: the schema may take longer.
            return try MySQLWriter(self, connect(isolation: Self.writing, answerSeconds: MySQLWriter.answerSeconds))
        } catch let failure as DriverFailure {
            throw DroverError(.database, message: "drover: \(failure.message)", cause: failure)
        }
    }

    public func openReader() throws -> any DriverReader {
        do {
            return try MySQLReader(self)
        } catch let failure as DriverFailure {
            throw DroverError(.database, message: "drover: \(failure.message)", cause: failure)
        }
    }

    public func openLink() throws -> any DriverLink {
        do {
            return try MySQLLink(self)
        } catch let failure as DriverFailure {
            throw DroverError(.database, message: "drover: \(failure.message)", cause: failure)
        }
    }

    public func close() {}

    /// Connects, and creates the database first where it is missing and this user may.
    private func connectCreatingDatabase() throws -> MySQLConnection {
        do {
            return try connect(isolation: Self.writing)
        } catch let failure as DriverFailure where failure.engineCode == 1_049 {
            logger.notice("the database does not exist and is created")
            let quoted =
                "`"
                + configuration.database.split(separator: "`", omittingEmptySubsequences: false)
                .joined(separator: "``") + "`"
            do {
                let server = try MySQLConnection(configuration, settings: [], withDatabase: false)
                try server.query("CREATE DATABASE IF NOT EXISTS \(quoted)")
            } catch let refused as DriverFailure {
                throw DriverFailure(
                    .unavailable,
                    "the database does not exist and cannot be created (\(refused.message)); create it, or give this user the right to",
                    engineCode: refused.engineCode
                )
            }
            return try connect(isolation: Self.writing)
        }
    }

    /// Names the settings that would let the server forget what it has acknowledged.
    func warnOfDurability(_ connection: MySQLConnection) {
        func setting(_ name: String) -> String? {
            guard let result = try? connection.query("SELECT @@global.\(name)")[0], result.next() else { return nil }
            return result.text(0)
        }
        let wanted = [("innodb_flush_log_at_trx_commit", ["1", "3"]), ("innodb_doublewrite", ["1", "ON"])]
        var wrong = wanted.filter { name, values in setting(name).map { !values.contains($0) } ?? false }.map(\.0)
        if ["1", "ON"].contains(setting("log_bin") ?? ""), setting("sync_binlog") != "1" {
            wrong.append("sync_binlog")
        }
        for name in wrong {
            logger.warning(
                "MySQL may lose acknowledged writes when its machine fails: set this variable to 1",
                metadata: ["setting": "\(name)"]
            )
        }
    }

    /// The instances that live.
    static func instances(_ connection: MySQLConnection) throws -> [InstanceRecord] {
        let result = try connection.query(
            """
            SELECT id, name, urls, position, heartbeat FROM drover_instance
            WHERE heartbeat > \(MySQLView.clock) - \(lifetime)
            ORDER BY id
            """
        )[0]!
        var instances: [InstanceRecord] = []
        while result.next() {
            instances.append(
                InstanceRecord(
                    id: UInt64(bitPattern: result.integer(0)),
                    name: result.text(1),
                    clientURLs: result.text(2).split(separator: "\n").map(String.init),
                    position: result.integer(3),
                    heartbeat: result.integer(4)
                )
            )
        }
        return instances
    }
}

extension Store {
    /// Opens a store in a MySQL or MariaDB database.
    ///
    /// - Throws: ``DroverError`` with ``DroverError/Code/database`` when the database cannot be used.
    public static func open(
        mysql configuration: MySQLConfiguration,
        configuration store: StoreConfiguration = .init()
    ) async throws -> Store {
        var configuration = configuration
        if !configuration.tls.isSet { configuration.tls = store.databaseTLS }
        return try await open(driver: MySQLDriver(configuration, logger: store.logger), configuration: store)
    }
}
