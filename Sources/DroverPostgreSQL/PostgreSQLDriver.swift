import CLibPQ
public import Drover
public import Logging
import Synchronization

#if canImport(Glibc)
    import Glibc
#elseif canImport(Musl)
    import Musl
#elseif canImport(Darwin)
    import Darwin
#endif

/// The backend on a PostgreSQL server, which any number of instances may share.
public final class PostgreSQLDriver: Driver, DriverProvider {
    public static let schemes = ["postgres", "postgresql"]

    /// Microseconds without a heartbeat after which an instance is taken for gone.
    static let lifetime: Int64 = 10_000_000
    /// Microseconds after which what is known of an instance is forgotten.
    static let memory: Int64 = 3_600_000_000

    /// How long a database that was just created may be missing on other hosts, in nanoseconds.
    static let replicationNanoseconds: Int64 = 5_000_000_000

    public let name = "postgres"
    public let maximumKeyBytes: Int
    public let isShared = true

    let configuration: PostgreSQLConfiguration
    let logger: Logger
    let history = HistoryGuard()
    let cleaner = PostgreSQLCleaner()
    let rows: RowCache
    public var rowCache: RowCache? { rows }
    let availability = Availability()
    /// Whether somebody writes.
    private let isServing = Atomic<Bool>(false)
    /// This instance's id, random, as old as the object.
    let instanceID = UInt64.random(in: 1...UInt64(Int64.max))

    /// A driver for the database that `configuration` names; nothing is opened yet.
    public init(_ configuration: PostgreSQLConfiguration, logger: Logger = Logger(label: "drover.postgres")) {
        self.configuration = configuration
        self.logger = logger
        rows = RowCache(bytes: configuration.cachedRowBytes)
        maximumKeyBytes = configuration.maximumKeyBytes
    }

    /// Also `key=value` pairs, of which the first has a keyword of libpq's.
    public static func serves(_ endpoint: String) -> Bool {
        if schemes.contains(String(endpoint.prefix { $0 != ":" })) { return true }
        let pairs = endpoint.drop { $0 == " " }
        let keyword = pairs.prefix { $0.isLetter || $0 == "_" }
        guard pairs.dropFirst(keyword.count).first(where: { $0 != " " }) == "=" else { return false }
        return PostgreSQLConfiguration.keywords.contains(String(keyword))
    }

    public static func makeDriver(endpoint: String, options: DriverOptions) throws -> any Driver {
        var configuration = PostgreSQLConfiguration(endpoint: endpoint)
        configuration.tls = options.tls
        configuration.cachedRowBytes = options.cachedRowBytes
        _ = try configuration.parameters()
        return PostgreSQLDriver(configuration, logger: options.logger)
    }

    // The planner must not be led astray by fresh statistics, and a session that stops must not hold others up for long.
    // A wait for a lock is begun anew until the calls have waited for as long as etcd lets them.
    static let settings = [
        // Limits of a role or database are for applications: a compaction, or a lease's renewal, must come to its end.
        "SET statement_timeout = 0",
        "SET client_min_messages = warning", "SET enable_seqscan = off", "SET enable_hashjoin = off",
        "SET enable_mergejoin = off", "SET enable_bitmapscan = off", "SET enable_material = off", "SET jit = off",
        "SET plan_cache_mode = force_generic_plan", "SET lock_timeout = '2s'",
        "SET idle_in_transaction_session_timeout = '4s'", "SET max_parallel_workers_per_gather = 0",
        // Which of these there are depends on the version.
        "SELECT set_config(name, '0', false) FROM pg_settings WHERE name IN ('transaction_timeout', 'idle_session_timeout')",
        // A client whose packets are lost is noticed, and its locks are given up.
        "SET tcp_keepalives_idle = 2", "SET tcp_keepalives_interval = 1", "SET tcp_keepalives_count = 3",
        // So is one that takes nothing of what it is sent in a batch.
        "SET tcp_user_timeout = '4s'",
        // Where the server's default lets a commit be forgotten, ours are not.
        "SELECT set_config('synchronous_commit', CASE current_setting('synchronous_commit') WHEN 'off' THEN 'on' ELSE current_setting('synchronous_commit') END, false)",
    ]

    /// - Parameter reads: whether rows are read on it.
    func connect(database: String? = nil, reads: Bool = true) throws -> PGConnection {
        let known = try history.floor()
        // It may be another server by now, and not every one says whose history it has.
        if reads { rows.removeAll() }
        let turn = availability.turn
        let connection = try PGConnection(configuration, database: database, settings: Self.settings)
        connection.connectedAt = known
        connection.madeIn = turn
        return connection
    }

    /// Refuses a server that may only be read, where the endpoint's `target_session_attrs` lets one through: a standby knows
    /// of commits later than those who are told of them. Where nothing is written either, as by `drover check`, it will do.
    func checkPrimary(_ connection: PGConnection) throws {
        if !isServing.load(ordering: .relaxed) { return }
        let isReadOnly = try connection.query("SELECT current_setting('transaction_read_only')")[0].text(0, 0) == "on"
        if isReadOnly { throw PGFailure.make(sqlState: "25006", "the session is read-only") }
    }

    public func openWriter() throws -> any DriverWriter {
        isServing.store(true, ordering: .relaxed)
        do {
            let connection = try connectCreatingDatabase()
            // Indexes of a large store may have to be made.
            connection.answerMilliseconds = PGConnection.longAnswerMilliseconds
            try PostgreSQLSchema.prepare(connection)
            return try PostgreSQLWriter(self, connection)
        } catch let failure as DriverFailure {
            throw DroverError(.database, message: "drover: \(failure.message)", cause: failure)
        }
    }

    public func openReader() throws -> any DriverReader {
        do {
            return try PostgreSQLReader(self)
        } catch let failure as DriverFailure {
            throw DroverError(.database, message: "drover: \(failure.message)", cause: failure)
        }
    }

    public func openLink() throws -> any DriverLink {
        do {
            return try PostgreSQLLink(self)
        } catch let failure as DriverFailure {
            throw DroverError(.database, message: "drover: \(failure.message)", cause: failure)
        }
    }

    public func close() { cleaner.close() }

    /// Connects, and creates the database first where it is missing and this user may.
    private func connectCreatingDatabase() throws -> PGConnection {
        do {
            return try connect()
        } catch let failure as DriverFailure {
            // Whether it is missing is asked of the server itself: what it says may be in any language.
            guard !failure.isUnreached, let name = try configuration.database() else { throw failure }
            guard let maintenance = try? connect(database: "postgres") else { throw failure }
            maintenance.answerMilliseconds = PGConnection.longAnswerMilliseconds
            var parameters = PGParameters()
            parameters.add(name)
            let known = try maintenance.query("SELECT 1 FROM pg_database WHERE datname = $1::text", parameters)
            // A standby among the hosts may not have it yet: libpq tries no further host than that.
            guard known[0].rows == 0 else { return try connect(whileReplicatedAfter: failure) }
            logger.notice("the database does not exist and is created")
            let quoted =
                "\"" + name.split(separator: "\"", omittingEmptySubsequences: false).joined(separator: "\"\"") + "\""
            do {
                _ = try maintenance.query("CREATE DATABASE \(quoted)")
            } catch let refused as DriverFailure where refused.engineCode != PGFailure.code("42P04") {
                throw DriverFailure(
                    .unavailable,
                    "the database does not exist and cannot be created (\(refused.message)); create it, or give this user CREATEDB",
                    engineCode: refused.engineCode
                )
            } catch {
                // Another instance was faster.
            }
            return try connect(whileReplicatedAfter: failure)
        }
    }

    /// Connects to a database that is there, as soon as all of several hosts have it.
    private func connect(whileReplicatedAfter failure: DriverFailure) throws -> PGConnection {
        var failure = failure
        let deadline = MonotonicClock.nanoseconds() + Self.replicationNanoseconds
        repeat {
            do {
                return try connect()
            } catch let again as DriverFailure {
                failure = again
                usleep(100_000)
            }
        } while try configuration.hasSeveralHosts() && MonotonicClock.nanoseconds() < deadline
        throw failure
    }

    /// Names the settings that would let the server forget what it has acknowledged.
    func warnOfDurability(_ connection: PGConnection) {
        // Engines that only speak PostgreSQL's protocol lack some of the settings.
        guard
            let result = try? connection.query(
                "SELECT current_setting('fsync'), current_setting('full_page_writes'), (SELECT reset_val FROM pg_settings WHERE name = 'synchronous_commit'), current_setting('synchronous_standby_names')"
            )[0]
        else { return }
        if result.text(0, 2) == "local" && !result.text(0, 3).isEmpty {
            logger.warning(
                "synchronous_commit is local on this server: its synchronous standby may be promoted without acknowledged writes; set it to on"
            )
        }
        if result.text(0, 2) == "off" {
            logger.warning("synchronous_commit is off on this server; Drover's own sessions turn it on")
        }
        for (column, setting) in [(0, "fsync"), (1, "full_page_writes")] where result.text(0, column) == "off" {
            logger.warning(
                "PostgreSQL may lose acknowledged writes when its machine fails: a setting is off; turn it on",
                metadata: ["setting": "\(setting)"]
            )
        }
    }

    /// The instances that live.
    static func instances(_ connection: PGConnection) throws -> [InstanceRecord] {
        var parameters = PGParameters()
        parameters.add(lifetime)
        try connection.send(PGStatements.instances, parameters)
        let result = try connection.land()[0]
        return (0..<result.rows).map { row in
            InstanceRecord(
                id: UInt64(bitPattern: result.integer(row, 0)),
                name: result.text(row, 1),
                clientURLs: result.text(row, 2).split(separator: "\n").map(String.init),
                position: result.integer(row, 3),
                heartbeat: result.integer(row, 4)
            )
        }
    }
}

extension Store {
    /// Opens a store in a PostgreSQL database.
    ///
    /// - Throws: ``DroverError`` with ``DroverError/Code/database`` when the database cannot be used.
    public static func open(
        postgres configuration: PostgreSQLConfiguration,
        configuration store: StoreConfiguration = .init()
    ) async throws -> Store {
        var configuration = configuration
        if !configuration.tls.isSet { configuration.tls = store.databaseTLS }
        return try await open(driver: PostgreSQLDriver(configuration, logger: store.logger), configuration: store)
    }
}
