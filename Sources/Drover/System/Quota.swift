import Synchronization

/// How much the database may hold before writes are refused. Source: etcd `server/storage/quota.go`.
public final class Quota: Sendable {
    /// What a key costs besides its bytes, as etcd reckons.
    static let keyOverhead = 256
    /// What a grant of a lease costs.
    static let leaseOverhead = 64

    /// Bytes; 0 is no limit.
    public let bytes: Int64
    private let used = Atomic<Int64>(0)

    init(bytes: Int64) { self.bytes = max(0, bytes) }

    /// Takes over what was measured.
    func measured(_ bytes: Int64) { used.store(bytes, ordering: .relaxed) }

    /// Whether something of this size no longer fits.
    func isExceeded(by cost: Int) -> Bool {
        bytes > 0 && cost > 0 && used.load(ordering: .relaxed) + Int64(cost) >= bytes
    }
}

extension WriteOperation {
    /// What it adds to the database, as etcd reckons; 0 of what is carried out without space.
    var cost: Int {
        switch self {
        case .put(let request): Quota.keyOverhead + request.key.count + request.value.count
        case .txn(let request): request.cost
        case .leaseGrant: Quota.leaseOverhead
        case .deleteRange, .compact, .leaseRevoke, .leaseExpire, .system: 0
        }
    }
}

extension TxnRequest {
    /// The more expensive of the two branches, nested ones included.
    var cost: Int {
        func cost(_ branch: [RequestOperation]) -> Int {
            branch.reduce(0) { sum, operation in
                switch operation {
                case .put(let request): sum + Quota.keyOverhead + request.key.count + request.value.count
                case .txn(let request): sum + request.cost
                case .range, .deleteRange, .missing: sum
                }
            }
        }
        return max(cost(success), cost(failure))
    }
}
