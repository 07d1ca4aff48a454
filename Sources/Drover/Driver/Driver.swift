/// A backend: the seam between the engine and a database.
///
/// A driver stores and reads; it knows nothing of transactions, watches or etcd. What it must provide is described in
/// docs/architecture.md, "Writing a driver".
public protocol Driver: AnyObject, Sendable {
    /// The backend's name in logs and reports, such as `sqlite`.
    var name: String { get }
    /// The longest key in bytes that the backend's index can hold.
    var maximumKeyBytes: Int { get }
    /// Whether other processes may serve the same database at the same time. A driver of an embedded database says no:
    /// its readers are then fast enough to be called on an event loop, and its leases' deadlines live in memory.
    var isShared: Bool { get }
    /// Values that it keeps, where it does, to which the committer adds what it commits; nil by default.
    var rowCache: RowCache? { get }
    /// Opens the database, creating or migrating its tables, and returns the connection that writes.
    func openWriter() throws -> any DriverWriter
    /// Opens one more connection for reading. Called after ``openWriter()``.
    func openReader() throws -> any DriverReader
    /// Opens the connection for what goes on beside batches: heartbeats, renewals, looking for others' commits. Called
    /// once, of a shared database alone.
    func openLink() throws -> any DriverLink
    /// Releases what the driver holds. Called after every connection is closed.
    func close()
}

extension Driver {
    public var rowCache: RowCache? { nil }

    /// An embedded database has no link.
    public func openLink() throws -> any DriverLink {
        throw DriverFailure(.unavailable, "this backend is not shared between processes")
    }
}

/// How a driver is found by the scheme of an endpoint.
public protocol DriverProvider: SendableMetatype {
    /// The schemes it serves, such as `sqlite`.
    static var schemes: [String] { get }
    /// Whether the database is in this process, so that nothing is connected to. Default no.
    static var isEmbedded: Bool { get }
    /// Whether it serves the endpoint. By its scheme, unless a driver knows other forms too.
    static func serves(_ endpoint: String) -> Bool
    /// A driver for an endpoint that it serves.
    ///
    /// - Throws: ``DroverError`` with ``DroverError/Code/badEndpoint``; the message never holds the endpoint, which may
    ///   hold a password.
    static func makeDriver(endpoint: String, options: DriverOptions) throws -> any Driver
}

extension DriverProvider {
    public static var isEmbedded: Bool { false }

    /// By the scheme: what comes before the first colon.
    public static func serves(_ endpoint: String) -> Bool {
        schemes.contains(String(endpoint.prefix { $0 != ":" }))
    }
}
