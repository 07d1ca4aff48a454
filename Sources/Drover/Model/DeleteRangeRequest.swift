/// A deletion of keys in one revision. Source: etcd `DeleteRangeRequest`.
public struct DeleteRangeRequest: Hashable, Sendable {
    /// The keys.
    public var range: KeyRange
    /// Return the keys as they were before.
    public var wantsPrevious: Bool

    /// A deletion of one key.
    public init(key: Bytes, wantsPrevious: Bool = false) {
        self.init(KeyRange(lower: key, upper: .single), wantsPrevious: wantsPrevious)
    }

    /// A deletion of the keys in `range`.
    public init(_ range: KeyRange, wantsPrevious: Bool = false) {
        self.range = range
        self.wantsPrevious = wantsPrevious
    }
}

/// The answer to a ``DeleteRangeRequest``.
public struct DeleteRangeResponse: Hashable, Sendable {
    /// The revision of the deletion, or the current one when there was nothing to delete.
    public var revision: Int64
    /// How many keys were deleted.
    public var deleted: Int64
    /// The keys as they were before, in key order, if asked for.
    public var previous: [KeyValue]

    /// An answer from its parts.
    public init(revision: Int64, deleted: Int64 = 0, previous: [KeyValue] = []) {
        self.revision = revision
        self.deleted = deleted
        self.previous = previous
    }
}
