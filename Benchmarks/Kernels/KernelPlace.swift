import Drover
import DroverBackends
import Foundation
import Logging

#if SQLite
    import DroverSQLite
#endif

/// Where a kernel keeps its data.
enum KernelPlace: Sendable {
    /// A SQLite file that is gone afterwards.
    case temporary
    /// The database of an endpoint.
    case endpoint(String)

    /// How the engine is called in the names of kernels: its scheme.
    var name: String {
        switch self {
        case .temporary: "sqlite"
        case .endpoint(let text): String(text.prefix { $0 != ":" })
        }
    }

    private static var logger: Logger {
        var logger = Logger(label: "kernels")
        logger.logLevel = .error
        return logger
    }

    /// The driver of the place, and what is to be done with it afterwards.
    private func open() throws -> (driver: any Driver, remove: @Sendable () -> Void) {
        switch self {
        case .endpoint(let text):
            let options = DriverOptions(logger: Self.logger)
            return (try Store.driver(text, using: Backends.all, options: options), {})
        case .temporary:
            #if SQLite
                let name = "drover-\(UUID().uuidString)"
                SQLiteDriver.disableMemoryStatistics()
                let folder = FileManager.default.temporaryDirectory.appendingPathComponent(name)
                try FileManager.default.createDirectory(at: folder, withIntermediateDirectories: true)
                var configuration = SQLiteConfiguration(path: folder.path + "/kernels.db")
                // Written out whenever there is time, which is not the runs'.
                configuration.reservedWALBytes = 0
                let driver = SQLiteDriver(configuration, logger: Self.logger)
                return (driver, { try? FileManager.default.removeItem(at: folder) })
            #else
                throw DroverError(.internalFault, message: "this build has no SQLite")
            #endif
        }
    }

    /// A store with the keys of ``Fixtures``, for as long as `finish` is not called, and its driver.
    func filled() throws -> (store: Store, driver: any Driver, finish: @Sendable () -> Void) {
        let (driver, remove) = try open()
        var configuration = StoreConfiguration()
        configuration.logger = Self.logger
        let store = try Store(driver: driver, configuration: configuration)
        let batch = Batch()
        for start in stride(from: 0, to: Fixtures.keyCount, by: Fixtures.batch) {
            try batch.submit((start..<start + Fixtures.batch).map { Fixtures.put($0) }, to: store)
        }
        return (
            store, driver,
            {
                store.closeBlocking()
                remove()
            }
        )
    }
}
