/// What is refused before it is evaluated: for want of space, of trust in the data, or of permission.
///
/// Source: etcd `server/etcdserver/apply` (`capped.go`, `corrupt.go`, `auth.go`) and `v3rpc/quota.go`.
extension TxnEvaluator {
    mutating func admit(_ operation: WriteOperation, _ caller: Caller) throws {
        if let system {
            try authorize(operation, caller, system)
            if case .system = operation { return }
            try system.checkCorruption()
            if system.isOutOfSpace && operation.cost > 0 { throw DroverError(.noSpace) }
        }
        if let quota, quota.isExceeded(by: operation.cost) {
            // Where clients have raised more alarms than are kept, it is refused all the same.
            _ = try? apply(.activate(Alarm(kind: .noSpace, member: meta.memberID)))
            throw DroverError(.noSpace)
        }
    }

    private mutating func authorize(_ operation: WriteOperation, _ caller: Caller, _ system: LoadedSystem) throws {
        if !system.state.auth.isEnabled { return }
        if case .trusted = caller { return }
        switch operation {
        case .put(let request):
            try withAttached(caller) { try system.check(request, caller, attached: $0) }
        case .deleteRange(let request):
            try system.check(request, caller)
        case .txn(let request):
            try withAttached(caller) { try system.check(request, caller, attached: $0) }
        case .compact, .system:
            try system.checkAdministrator(caller)
        case .leaseGrant:
            try system.checkUser(caller)
        case .leaseRevoke(let id), .leaseExpire(let id):
            try system.checkHolder(caller) { try keys(attachedTo: id) }
        }
    }

    /// Runs a check of leases by their keys. A lease is asked for once, and as long as no other caller attaches to it the
    /// batch remembers who was allowed: a transaction may name a lease of a hundred thousand keys with every operation.
    private mutating func withAttached(
        _ caller: Caller,
        _ check: (_ attached: (Int64) throws -> [Bytes]) throws -> Void
    ) throws {
        var asked: [Int64] = []
        try check { lease in
            if holders[lease] == caller || asked.contains(lease) { return [] }
            asked.append(lease)
            return try keys(attachedTo: lease)
        }
        for lease in asked { holders[lease] = caller }
    }
}
