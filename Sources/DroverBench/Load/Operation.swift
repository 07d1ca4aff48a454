/// A call that a workload makes, in terms that the library and the wire share.
enum Operation: Sendable {
    case put(key: [UInt8], value: [UInt8], lease: Int64)
    /// One key, as Kubernetes reads it: with a limit of 1.
    case get(key: [UInt8])
    case list(key: [UInt8], end: [UInt8], limit: Int64, revision: Int64)
    case count(key: [UInt8], end: [UInt8])
    case delete(key: [UInt8], end: [UInt8])
    /// Puts a key that is not there. Kubernetes' create.
    case create(key: [UInt8], value: [UInt8], lease: Int64)
    /// Puts a key that was last changed at `revision`, else reads it. Kubernetes' guarded update.
    case update(key: [UInt8], value: [UInt8], revision: Int64)
    /// Deletes a key that was last changed at `revision`, else reads it.
    case remove(key: [UInt8], revision: Int64)
    /// Many puts in one transaction, to fill a store.
    case fill([(key: [UInt8], value: [UInt8])])
    case grant(id: Int64, seconds: Int64)
    case keepAlive(id: Int64)
    case revoke(id: Int64)
    case compact(revision: Int64)
    case lock(name: [UInt8], lease: Int64)
    case unlock(key: [UInt8])

    /// Whether it is made as soon as the call before it is answered, in an open loop too: a lock is not kept until its holder's
    /// next call is due.
    var followsAtOnce: Bool { if case .unlock = self { true } else { false } }

    /// Has the value that is put begin with a moment.
    mutating func stamp(_ moment: UInt64) {
        func stamped(_ value: [UInt8]) -> [UInt8] {
            var value = value
            if value.count < 8 { value += Array(repeating: 0, count: 8 - value.count) }
            value.withUnsafeMutableBytes { $0.storeBytes(of: moment, as: UInt64.self) }
            return value
        }
        switch self {
        case .put(let key, let value, let lease): self = .put(key: key, value: stamped(value), lease: lease)
        case .create(let key, let value, let lease): self = .create(key: key, value: stamped(value), lease: lease)
        case .update(let key, let value, let revision):
            self = .update(key: key, value: stamped(value), revision: revision)
        default: break
        }
    }

    /// What it is counted under.
    var kind: OperationKind {
        switch self {
        case .put: .put
        case .get: .get
        case .list(_, _, let limit, _): limit > 0 ? .page : .list
        case .count: .count
        case .delete: .delete
        case .create: .create
        case .update: .update
        case .remove: .remove
        case .fill: .fill
        case .grant: .grant
        case .keepAlive: .keepAlive
        case .revoke: .revoke
        case .compact: .compact
        case .lock: .lock
        case .unlock: .unlock
        }
    }
}
