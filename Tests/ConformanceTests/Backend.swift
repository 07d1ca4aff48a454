import Drover
import DroverMySQL
import DroverPostgreSQL
import DroverSQLite
import Logging
import TestSupport
import Testing

/// The backends that the suite runs on. A new driver is added here and nowhere else.
typealias Backend = Engine

extension Engine {
    /// A driver for the store that belongs to `directory`.
    func makeDriver(_ directory: String, cachedRowBytes: Int = RowCache.defaultBytes) throws -> any Driver {
        let endpoint = try endpoint(directory)
        switch self {
        case .sqlite:
            var configuration = SQLiteConfiguration(endpoint: endpoint)
            configuration.cachedRowBytes = cachedRowBytes
            return SQLiteDriver(configuration, logger: quietLogger)
        case .postgres:
            var configuration = PostgreSQLConfiguration(endpoint: endpoint)
            configuration.cachedRowBytes = cachedRowBytes
            return PostgreSQLDriver(configuration, logger: quietLogger)
        case .mariadb:
            var configuration = try MySQLConfiguration(endpoint: endpoint)
            configuration.cachedRowBytes = cachedRowBytes
            return MySQLDriver(configuration, logger: quietLogger)
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
