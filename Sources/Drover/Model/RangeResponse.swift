/// The answer to a ``RangeRequest``.
public struct RangeResponse: Hashable, Sendable {
    /// The store's revision in the snapshot that was read.
    public var revision: Int64
    /// The keys, in the order asked for.
    public var kvs: [KeyValue]
    /// Whether the limit left keys out.
    public var more: Bool
    /// The number of keys in the range, whatever the limit and the bounds.
    public var count: Int64

    /// An answer from its parts.
    public init(revision: Int64, kvs: [KeyValue] = [], more: Bool = false, count: Int64 = 0) {
        self.revision = revision
        self.kvs = kvs
        self.more = more
        self.count = count
    }
}
