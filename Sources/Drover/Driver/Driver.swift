public import Logging

/// A backend: the seam between the engine and a database.
///
/// A driver stores and reads; it knows nothing of transactions, watches or etcd. What it must provide is described in
/// docs/architecture.md, "Writing a driver".
public protocol Driver: AnyObject, Sendable {
    /// The backend's name in logs and reports, such as `sqlite`.
    var name: String { get }
    /// The longest key in bytes that the backend's index can hold.
    var maximumKeyBytes: Int { get }
    /// Whether a reader answers a point read fast enough to be called on an event loop: the database is embedded.
    var readsInline: Bool { get }
    /// Opens the database, creating or migrating its tables, and returns the connection that writes.
    func openWriter() throws -> any DriverWriter
    /// Opens one more connection for reading. Called after ``openWriter()``.
    func openReader() throws -> any DriverReader
    /// Releases what the driver holds. Called after every connection is closed.
    func close()
}

/// How a driver is found by the scheme of an endpoint.
public protocol DriverProvider {
    /// The schemes it serves, such as `sqlite`.
    static var schemes: [String] { get }
    /// A driver for the endpoint, which begins with one of its schemes.
    static func makeDriver(endpoint: String, logger: Logger) throws -> any Driver
}
