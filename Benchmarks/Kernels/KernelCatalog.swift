import Drover
import DroverMySQL
import DroverPostgreSQL
import DroverSQLite

/// All kernels.
package enum KernelCatalog {
    /// Those that need nothing but a directory for temporary files, and those of each endpoint given.
    ///
    /// - Parameter endpoints: of database servers, such as `postgres://…`; SQLite is always there.
    package static func all(endpoints: [String]) -> [Kernel] {
        var kernels = CodecKernels.all + JSONKernels.all + StoreKernels.all + WatchKernels.all
        for place in [KernelPlace.temporary] + endpoints.map(KernelPlace.endpoint) {
            kernels += DriverKernels.all(place)
        }
        return kernels
    }

    static var drivers: [any DriverProvider.Type] { [SQLiteDriver.self, PostgreSQLDriver.self, MySQLDriver.self] }
}
