/// A lock that is held until it is given up or its lease ends.
public struct HeldLock: Sendable, Hashable {
    /// The holder's key.
    public var key: Bytes
    /// The revision at which the key was created.
    public var createRevision: Int64
    /// The store's revision when the lock was had.
    public var revision: Int64

    /// A lock from its parts, as another process was told of them.
    public init(key: Bytes, createRevision: Int64, revision: Int64) {
        self.key = key
        self.createRevision = createRevision
        self.revision = revision
    }

    /// Holds while the lock is held: guards a write that must not happen once it has passed to another, as
    /// `Mutex.IsOwner` of etcd's Go client does.
    public var isHeld: Compare { Compare(key: key, .createRevision(createRevision)) }
}
