/// An instance that serves a shared database.
public struct InstanceRecord: Hashable, Sendable {
    /// Its member id, random, as old as the process.
    public var id: UInt64
    /// The name it is known by.
    public var name: String
    /// The URLs clients reach it by.
    public var clientURLs: [String]
    /// Every event up to this revision has been handed to its watches.
    public var position: Int64

    /// A record from its parts.
    public init(id: UInt64, name: String, clientURLs: [String], position: Int64) {
        self.id = id
        self.name = name
        self.clientURLs = clientURLs
        self.position = position
    }
}
