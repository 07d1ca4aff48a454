/// A key with its value and its place in history. Source: etcd `mvccpb.KeyValue`.
public struct KeyValue: Hashable, Sendable {
    /// The key.
    public var key: Bytes
    /// The value; empty when only keys were asked for.
    public var value: Bytes
    /// The revision at which the key was last created.
    public var createRevision: Int64
    /// The revision of its last change.
    public var modRevision: Int64
    /// 1 at creation, one more with every change; 0 in the event of a deletion.
    public var version: Int64
    /// The lease it is attached to; 0 is none.
    public var lease: Int64

    /// A key-value from its parts.
    public init(
        key: Bytes,
        value: Bytes = [],
        createRevision: Int64 = 0,
        modRevision: Int64 = 0,
        version: Int64 = 0,
        lease: Int64 = 0
    ) {
        self.key = key
        self.value = value
        self.createRevision = createRevision
        self.modRevision = modRevision
        self.version = version
        self.lease = lease
    }

    /// The key as text, with bytes that are no UTF-8 replaced.
    public var keyString: String { String(decoding: key, as: UTF8.self) }
    /// The value as text, with bytes that are no UTF-8 replaced.
    public var valueString: String { String(decoding: value, as: UTF8.self) }
}
