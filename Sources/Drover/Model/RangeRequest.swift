/// A read of keys. Source: etcd `RangeRequest`.
public struct RangeRequest: Hashable, Sendable {
    /// Direction of sorting.
    public enum SortOrder: Int, Hashable, Sendable {
        case none = 0
        case ascend = 1
        case descend = 2
    }

    /// What is sorted by.
    public enum SortTarget: Int, Hashable, Sendable {
        case key = 0
        case version = 1
        case create = 2
        case mod = 3
        case value = 4
    }

    /// The keys.
    public var range: KeyRange
    /// The most keys to return; 0 is no limit.
    public var limit: Int64 = 0
    /// The revision to read at; 0 or less is the current one.
    public var revision: Int64 = 0
    /// Direction of sorting.
    public var sortOrder: SortOrder = .none
    /// What is sorted by.
    public var sortTarget: SortTarget = .key
    /// Whether a read without a quorum is enough. Here every read is as fresh as the database.
    public var serializable = false
    /// Leave values out.
    public var keysOnly = false
    /// Return the count alone.
    public var countOnly = false
    /// Lower bound of `modRevision`; 0 is none.
    public var minModRevision: Int64 = 0
    /// Upper bound of `modRevision`; 0 is none.
    public var maxModRevision: Int64 = 0
    /// Lower bound of `createRevision`; 0 is none.
    public var minCreateRevision: Int64 = 0
    /// Upper bound of `createRevision`; 0 is none.
    public var maxCreateRevision: Int64 = 0

    /// An order or target was given that does not exist.
    public var hasInvalidSort = false

    /// A read of `range` at the current revision.
    public init(_ range: KeyRange) {
        self.range = range
    }

    /// A read of one key at the current revision.
    public init(key: Bytes) {
        self.range = KeyRange(lower: key, upper: .single)
    }

    /// Whether any of the revision bounds is set.
    public var hasRevisionFilter: Bool {
        (minModRevision | maxModRevision | minCreateRevision | maxCreateRevision) != 0
    }

    /// Whether keys come in ascending key order, so that a limit may stop the read early.
    public var hasDefaultOrder: Bool {
        sortTarget == .key && sortOrder != .descend
    }

    /// Whether `kv`'s revisions lie within the bounds.
    public func admits(modRevision: Int64, createRevision: Int64) -> Bool {
        if minModRevision != 0 && modRevision < minModRevision { return false }
        if maxModRevision != 0 && modRevision > maxModRevision { return false }
        if minCreateRevision != 0 && createRevision < minCreateRevision { return false }
        if maxCreateRevision != 0 && createRevision > maxCreateRevision { return false }
        return true
    }
}

extension RangeRequest {
    /// Whether it reads the newest state of one key and no more.
    public var isPlainPoint: Bool { range.isSingle && revision <= 0 && !hasRevisionFilter }

    /// The answer to a plain point read.
    public func answer(_ kv: KeyValue?, revision: Int64) -> RangeResponse {
        var response = RangeResponse(revision: revision)
        guard var kv else { return response }
        response.count = 1
        if countOnly { return response }
        if keysOnly { kv.value = [] }
        response.kvs = [kv]
        return response
    }
}
