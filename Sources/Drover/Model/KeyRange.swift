/// A set of keys as etcd's `key` and `range_end` name it.
///
/// Source: etcd `rpc.proto`, `RangeRequest.range_end`.
public struct KeyRange: Hashable, Sendable {
    /// Where a range of keys ends.
    public enum Upper: Hashable, Sendable {
        /// The one key `lower`.
        case single
        /// Every key below this one.
        case before(Bytes)
        /// Every key from `lower` on.
        case unbounded
    }

    /// The first key of the range.
    public var lower: Bytes
    /// Where the range ends.
    public var upper: Upper

    /// A range from its parts.
    public init(lower: Bytes, upper: Upper) {
        self.lower = lower
        self.upper = upper
    }

    /// A range as etcd spells it: an empty `rangeEnd` is the one key, a single zero byte means no end.
    public init(key: Bytes, rangeEnd: Bytes) {
        self.lower = key
        if rangeEnd.isEmpty {
            self.upper = .single
        } else if rangeEnd == [0] {
            self.upper = .unbounded
        } else {
            self.upper = .before(rangeEnd)
        }
    }

    /// All keys that begin with `prefix`; every key when it is empty.
    public init(prefix: Bytes) {
        if prefix.isEmpty {
            self = .all
            return
        }
        var end = prefix
        while let last = end.last {
            if last < 0xff {
                end[end.count - 1] = last + 1
                self.init(lower: prefix, upper: .before(end))
                return
            }
            end.removeLast()
        }
        self.init(lower: prefix, upper: .unbounded)
    }

    /// Every key of the store.
    public static let all = KeyRange(lower: [0], upper: .unbounded)

    /// etcd's `range_end` for this range.
    public var rangeEnd: Bytes {
        switch upper {
        case .single: []
        // Written so, an end of nothing or of one zero byte would mean another range.
        case .before(let end): end.isEmpty || end == [0] ? lower : end
        case .unbounded: [0]
        }
    }

    /// Bytes of the keys that it is written with.
    package var byteCount: Int {
        if case .before(let end) = upper { return lower.count + end.count }
        return lower.count
    }

    /// Whether the range is one key.
    public var isSingle: Bool { upper == .single }

    /// Whether no key can be in it: its end is not above its start.
    public var isEmpty: Bool {
        if case .before(let end) = upper { return !Bytes.precedes(lower, end) }
        return false
    }

    /// Whether `key` is in the range.
    public func contains(_ key: Bytes) -> Bool {
        switch upper {
        case .single: return key == lower
        case .before(let end): return !Bytes.precedes(key, lower) && Bytes.precedes(key, end)
        case .unbounded: return !Bytes.precedes(key, lower)
        }
    }

    /// The exclusive end as bytes, or nil when there is none. A single key ends at its successor.
    public var exclusiveEnd: Bytes? {
        switch upper {
        case .single: lower.successor
        case .before(let end): end
        case .unbounded: nil
        }
    }

    /// Whether the two ranges share a key.
    public func overlaps(_ other: KeyRange) -> Bool {
        if isEmpty || other.isEmpty { return false }
        if let end = exclusiveEnd, !Bytes.precedes(other.lower, end) { return false }
        if let end = other.exclusiveEnd, !Bytes.precedes(lower, end) { return false }
        return true
    }

    /// All bytes of a key at once: the array's own hash takes them one by one.
    public func hash(into hasher: inout Hasher) {
        lower.withUnsafeBytes { hasher.combine(bytes: $0) }
        switch upper {
        case .single: hasher.combine(0)
        case .unbounded: hasher.combine(1)
        case .before(let end):
            hasher.combine(2)
            end.withUnsafeBytes { hasher.combine(bytes: $0) }
        }
    }
}
