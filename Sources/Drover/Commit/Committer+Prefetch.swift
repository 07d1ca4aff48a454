/// What a batch fetches before it is evaluated.
extension Committer {
    func prefetch(_ calls: ArraySlice<WriteCall>) -> BatchPrefetch {
        var keys: [Bytes] = []
        keys.reserveCapacity(calls.count)
        for call in calls { call.operation.collectKeys(into: &keys) }
        if keys.count > 1 { keys = Self.unique(keys) }
        var prefetch = BatchPrefetch(keys: keys)
        if leases.isShared {
            for call in calls { call.operation.collectLeases(into: &prefetch) }
            if prefetch.leases.count > 1 { prefetch.leases = Array(Set(prefetch.leases)) }
            if prefetch.expiring.count > 1 { prefetch.expiring = Array(Set(prefetch.expiring)).sorted() }
        }
        return prefetch
    }

    /// Fetches the keys of all leases that the batch ends, or that a caller's permission to attach to them depends on: one
    /// by one they would be two round trips each, under the lock of every instance.
    func preloadAttached(
        _ calls: ArraySlice<WriteCall>,
        _ evaluator: inout TxnEvaluator,
        _ writer: any DriverWriter
    ) throws {
        var (ending, asked): ([Int64], [Int64]) = ([], [])
        for call in calls {
            switch call.operation {
            case .leaseRevoke(let id), .leaseExpire(let id): ending.append(id)
            case .put, .txn:
                guard let system = evaluator.system, system.isAsked(call.caller) else { continue }
                var named = BatchPrefetch()
                call.operation.collectLeases(into: &named)
                asked += named.leases
            case .deleteRange, .compact, .leaseGrant, .system: break
            }
        }
        // Those that come first: the batch ends before the others. One by itself is fetched when it is asked for, if at all.
        var seen: Set<Int64> = []
        ending = ending.filter { seen.insert($0).inserted }
        asked = asked.filter { seen.insert($0).inserted }
        if seen.count < 2 { return }
        try preload(Array(ending.prefix(limits.sharedLeaseEnds)), withStates: true, &evaluator, writer)
        try preload(Array(asked.prefix(limits.sharedLeaseEnds)), withStates: false, &evaluator, writer)
    }

    /// - Parameter withStates: whether the keys will be deleted, or only looked at.
    private func preload(
        _ leases: [Int64],
        withStates: Bool,
        _ evaluator: inout TxnEvaluator,
        _ writer: any DriverWriter
    ) throws {
        if leases.isEmpty { return }
        let leases = leases.sorted()
        let keys = try writer.keys(attachedTo: leases, limit: limits.sharedBatchRows)
        for (lease, keys) in zip(leases, keys) { evaluator.preload(attached: keys, to: lease) }
        if withStates { try evaluator.preload(Array(keys.joined())) }
    }

    private static func unique(_ keys: [Bytes]) -> [Bytes] {
        var seen = Set<Bytes>(minimumCapacity: keys.count)
        var result: [Bytes] = []
        result.reserveCapacity(keys.count)
        for key in keys where seen.insert(key).inserted { result.append(key) }
        return result
    }
}
