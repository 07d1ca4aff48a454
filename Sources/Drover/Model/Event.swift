/// One change of one key. Source: etcd `mvccpb.Event`.
public struct Event: Hashable, Sendable {
    /// What happened to the key.
    public enum Kind: Hashable, Sendable {
        /// It was created or changed.
        case put
        /// It was deleted, by a call or by its lease.
        case delete
    }

    /// What happened.
    public var kind: Kind
    /// The key after the change; of a deletion only `key` and `modRevision` are set.
    public var kv: KeyValue
    /// The key before the change, when the watch asked for it and compaction has left it.
    public var previous: KeyValue?

    /// An event from its parts.
    public init(kind: Kind, kv: KeyValue, previous: KeyValue? = nil) {
        self.kind = kind
        self.kv = kv
        self.previous = previous
    }

    /// Whether the change created the key.
    public var isCreate: Bool { kind == .put && kv.createRevision == kv.modRevision }
}
