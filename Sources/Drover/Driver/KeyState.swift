/// The latest event of a key: its row in `drover_current`, or in `drover_tombstone` when it is deleted.
public struct KeyState: Sendable, Hashable {
    /// The revision of the event.
    public var main: Int64
    /// Its place within the revision.
    public var sub: Int64
    /// The revision at which the key was created; 0 of a deleted one.
    public var createRevision: Int64
    /// 1 at creation, one more with every change; 0 of a deleted one.
    public var version: Int64
    /// The lease it is attached to; 0 is none.
    public var lease: Int64
    /// The length of its value in bytes.
    public var valueLength: Int

    /// A state from its parts.
    public init(
        main: Int64,
        sub: Int64,
        createRevision: Int64 = 0,
        version: Int64 = 0,
        lease: Int64 = 0,
        valueLength: Int = 0
    ) {
        self.main = main
        self.sub = sub
        self.createRevision = createRevision
        self.version = version
        self.lease = lease
        self.valueLength = valueLength
    }

    /// Whether the key exists.
    public var isLive: Bool { version != 0 }
}
