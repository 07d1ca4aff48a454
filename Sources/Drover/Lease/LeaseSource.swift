/// Where a batch looks leases up.
enum LeaseSource: Sendable {
    /// In memory: an embedded database is served by one process.
    case memory(Lessor)
    /// In the database, under the batch's lock.
    case database(ClockGuard)

    var isShared: Bool {
        if case .database = self { return true }
        return false
    }

    /// - Parameter asked: the leases that the batch's base was asked for; one that is not in it is not there.
    func exists(_ id: Int64, _ base: BatchBase, asked: Set<Int64>, _ view: any DriverView) throws -> Bool {
        switch self {
        case .memory(let lessor): lessor.exists(id)
        case .database:
            try base.leases[id] != nil || base.expiring[id] != nil || (!asked.contains(id) && view.lease(id) != nil)
        }
    }

    /// Whether a lease's time is over and it may be revoked for it.
    func isExpired(_ id: Int64, _ base: BatchBase, _ view: any DriverView) throws -> Bool {
        switch self {
        case .memory(let lessor): return lessor.isExpiring(id)
        case .database(let clock):
            // Only what is locked: a lease that is not may be renewed at this moment.
            guard let state = base.expiring[id] else { return false }
            return state.isExpired && clock.holds(state.now)
        }
    }
}
