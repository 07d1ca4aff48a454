/// A call that writes, as it waits for the committer. Its parts were validated before it queued.
public enum WriteOperation: Sendable {
    case put(PutRequest)
    case deleteRange(DeleteRangeRequest)
    case txn(TxnRequest)
    /// Moves the compaction mark; `physical` is answered after the sweep.
    case compact(revision: Int64, physical: Bool)
    /// Grants a lease. The id is chosen already: ``Store/leaseGrantOperation(id:ttl:)``.
    case leaseGrant(id: Int64, ttl: Int64)
    case leaseRevoke(id: Int64)
    /// Revokes a lease whose time is over: `leaseNotFound` when it is gone already, or was renewed.
    case leaseExpire(id: Int64)
    /// Changes alarms, users or roles.
    case system(SystemOperation)

    /// Bytes it holds while it waits, for the queue's limit.
    var footprint: Int {
        switch self {
        case .put(let request): 128 + request.key.count + request.value.count
        case .deleteRange(let request): 128 + request.range.byteCount
        case .txn(let request): 256 + request.footprint
        case .compact, .leaseGrant, .leaseRevoke, .leaseExpire: 128
        case .system(let operation): operation.footprint
        }
    }

    /// The leases that the batch fetches from a shared database before it is evaluated.
    func collectLeases(into prefetch: inout BatchPrefetch) {
        switch self {
        case .put(let request): if request.lease != 0 { prefetch.leases.append(request.lease) }
        case .txn(let request): request.collectLeases(into: &prefetch)
        case .leaseGrant(let id, _), .leaseRevoke(let id): prefetch.leases.append(id)
        case .leaseExpire(let id): prefetch.expiring.append(id)
        case .deleteRange, .compact, .system: break
        }
    }

    /// The keys whose states the batch fetches before it is evaluated.
    func collectKeys(into keys: inout [Bytes]) {
        switch self {
        case .put(let request): keys.append(request.key)
        case .deleteRange(let request): if request.range.isSingle { keys.append(request.range.lower) }
        case .txn(let request): request.collectKeys(into: &keys)
        case .compact, .leaseGrant, .leaseRevoke, .leaseExpire, .system: break
        }
    }
}

extension TxnRequest {
    var footprint: Int {
        var bytes = 0
        for compare in compares {
            bytes += 64 + compare.range.byteCount
            if case .value(let value) = compare.target { bytes += value.count }
        }
        for operation in success + failure {
            switch operation {
            case .put(let request): bytes += 96 + request.key.count + request.value.count
            case .range(let request): bytes += 96 + request.range.byteCount
            case .deleteRange(let request): bytes += 96 + request.range.byteCount
            case .txn(let request): bytes += 96 + request.footprint
            case .missing: break
            }
        }
        return bytes
    }

    func collectLeases(into prefetch: inout BatchPrefetch) {
        for branch in [success, failure] {
            for operation in branch {
                switch operation {
                case .put(let request): if request.lease != 0 { prefetch.leases.append(request.lease) }
                case .txn(let request): request.collectLeases(into: &prefetch)
                case .range, .deleteRange, .missing: break
                }
            }
        }
    }

    func collectKeys(into keys: inout [Bytes]) {
        for compare in compares where compare.range.isSingle { keys.append(compare.range.lower) }
        for branch in [success, failure] {
            for operation in branch {
                switch operation {
                case .put(let request): keys.append(request.key)
                case .range(let request): if request.range.isSingle { keys.append(request.range.lower) }
                case .deleteRange(let request): if request.range.isSingle { keys.append(request.range.lower) }
                case .txn(let request): request.collectKeys(into: &keys)
                case .missing: break
                }
            }
        }
    }
}
