import Drover
import Logging

#if canImport(FoundationEssentials)
    import FoundationEssentials
#else
    import Foundation
#endif

/// A store that is opened in this process, through the library.
struct LibraryTarget: BenchTarget {
    let name: String
    let endpoint: String
    let drivers: [any DriverProvider.Type]
    let details: String

    var isInProcess: Bool { true }
    var isOnServer: Bool { drivers.first { $0.serves(endpoint) }?.isEmbedded == false }
    var process: Int32? { ProcessInfo.processInfo.processIdentifier }

    func open(connections: Int) async throws -> any BenchSession {
        // Opened anew for every round: what a driver warns of is told by `drover serve`.
        var configuration = StoreConfiguration()
        configuration.logger.logLevel = .error
        return LibrarySession(try await Store.open(endpoint, using: drivers, configuration: configuration))
    }
}
