import Drover
import DroverMySQL
import DroverPostgreSQL
import DroverSQLite
import Logging
import TestSupport
import Testing

/// The backends that the suite runs on. A new driver is added here and nowhere else.
enum Backend: String, CaseIterable, Sendable, CustomTestStringConvertible {
    case sqlite
    case postgres
    case mariadb

    /// Those that are tested: all, unless the environment names some.
    static let selected: [Backend] = {
        guard let names = environment("DROVER_TEST_BACKENDS") else { return allCases }
        return names.split(separator: ",").compactMap { Backend(rawValue: String($0)) }
    }()

    var testDescription: String { rawValue }

    /// A driver for the store that belongs to `directory`: a file in it, or a database named after it.
    func makeDriver(_ directory: String) throws -> any Driver {
        let database = "t" + directory.suffix(12).lowercased()
        switch self {
        case .sqlite:
            return SQLiteDriver(SQLiteConfiguration(path: "\(directory)/store.db"), logger: quietLogger)
        case .postgres:
            let endpoint = try SharedServers.postgres().endpoint(database: database)
            return PostgreSQLDriver(PostgreSQLConfiguration(endpoint: endpoint), logger: quietLogger)
        case .mariadb:
            let endpoint = try SharedServers.mariadb().endpoint(database: database)
            return MySQLDriver(try MySQLConfiguration(endpoint: endpoint), logger: quietLogger)
        }
    }

    /// Runs `body` with a store on an empty database.
    func withStore<R>(
        limits: Limits = Limits(),
        progressInterval: Double = 600,
        _ body: (Store) async throws -> R
    ) async throws -> R {
        try await withTemporaryDirectory { directory in
            let store = try open(directory, limits: limits, progressInterval: progressInterval)
            do {
                let result = try await body(store)
                await store.close()
                return result
            } catch {
                await store.close()
                throw error
            }
        }
    }

    func open(_ directory: String, limits: Limits = Limits(), progressInterval: Double = 600) throws -> Store {
        var configuration = StoreConfiguration()
        configuration.limits = limits
        configuration.progressInterval = progressInterval
        configuration.logger = quietLogger
        return try Store(driver: try makeDriver(directory), configuration: configuration)
    }
}

let quietLogger: Logger = {
    var logger = Logger(label: "test")
    logger.logLevel = .critical
    return logger
}()
