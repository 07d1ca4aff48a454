/// A condition of a transaction on a key, or on every key of a range. Source: etcd `Compare`.
public struct Compare: Hashable, Sendable {
    /// The relation that must hold between the key's field and the given value.
    public enum Relation: Int, Hashable, Sendable {
        case equal = 0
        case greater = 1
        case less = 2
        case notEqual = 3
        /// One that a newer client has sent. It holds always, as in etcd.
        case unknown = -1
    }

    /// The field that is compared, with the value it is compared to.
    public enum Target: Hashable, Sendable {
        case version(Int64)
        case createRevision(Int64)
        case modRevision(Int64)
        case value(Bytes)
        case lease(Int64)
        /// One that a newer client has sent. It equals whatever it is compared with, as in etcd.
        case unknown
    }

    /// The keys; of a range, every key must fulfil the condition.
    public var range: KeyRange
    /// The field and the value.
    public var target: Target
    /// The relation.
    public var relation: Relation

    /// A condition from its parts.
    public init(_ range: KeyRange, _ target: Target, _ relation: Relation = .equal) {
        self.range = range
        self.target = target
        self.relation = relation
    }

    /// A condition on one key.
    public init(key: Bytes, _ target: Target, _ relation: Relation = .equal) {
        self.init(KeyRange(lower: key, upper: .single), target, relation)
    }

    /// Whether the value itself is needed to decide.
    public var needsValue: Bool {
        if case .value = target { return true }
        return false
    }

    /// Whether the condition holds for `kv`, the zero key-value standing for a key that does not exist; but no
    /// condition on values holds for such a key, which is for the caller to see.
    public func holds(for kv: KeyValue) -> Bool {
        switch target {
        case .version(let v): return decide(kv.version, v)
        case .createRevision(let v): return decide(kv.createRevision, v)
        case .modRevision(let v): return decide(kv.modRevision, v)
        case .lease(let v): return decide(kv.lease, v)
        case .unknown: return decide(0, 0)
        case .value(let v):
            switch relation {
            case .equal: return kv.value == v
            case .notEqual: return kv.value != v
            case .less: return Bytes.precedes(kv.value, v)
            case .greater: return Bytes.precedes(v, kv.value)
            case .unknown: return true
            }
        }
    }

    private func decide(_ a: Int64, _ b: Int64) -> Bool {
        switch relation {
        case .equal: a == b
        case .greater: a > b
        case .less: a < b
        case .notEqual: a != b
        case .unknown: true
        }
    }
}
