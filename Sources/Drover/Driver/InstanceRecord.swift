/// An instance that serves a shared database.
public struct InstanceRecord: Hashable, Sendable {
    /// Its member id, random, as old as the process.
    public var id: UInt64
    /// The name it is known by.
    public var name: String
    /// The URLs clients reach it by.
    public var clientURLs: [String]
    /// Every event up to this revision has been handed to its watches; ``arriving`` while it does not know yet whether
    /// others serve.
    public var position: Int64
    /// When it last said that it lives, in microseconds of the database's clock; 0 of a record that was not read there.
    public var heartbeat: Int64

    /// The position of one that starts or comes back.
    public static let arriving: Int64 = -1

    /// Whether it does not know yet whether others serve.
    public var isArriving: Bool { position == Self.arriving }

    /// A record from its parts.
    public init(id: UInt64, name: String, clientURLs: [String], position: Int64, heartbeat: Int64 = 0) {
        self.id = id
        self.name = name
        self.clientURLs = clientURLs
        self.position = position
        self.heartbeat = heartbeat
    }
}
