import HeapModule
import Synchronization

/// The leases of a store whose deadlines live in memory: those of an embedded database, which one process serves.
///
/// Renewing writes nothing, and a restart arms every lease in full again, as etcd does. Source: etcd
/// `server/lease/lessor.go`.
final class Lessor: Sendable {
    /// The shortest time to live in seconds: 1.5 election timeouts of etcd's defaults, rounded up.
    static let minimumTTL: Int64 = 2
    /// The longest time to live in seconds.
    static let maximumTTL: Int64 = 9_000_000_000

    /// Entries of leases that are gone, beside as many as there are leases.
    private static let staleEntries = 1_024

    struct Lease {
        var grantedTTL: Int64
        /// Nanoseconds of the monotonic clock.
        var deadline: Int64
        /// Its time is over and its revocation waits for the committer.
        var isExpiring = false
    }

    private struct Due: Comparable {
        var deadline: Int64
        var id: Int64
        static func < (a: Due, b: Due) -> Bool { a.deadline < b.deadline }
    }

    private struct State {
        var leases: [Int64: Lease] = [:]
        // Holds stale entries too: a renewal does not look for the old one, and a popped entry is checked.
        var due = Heap<Due>()
        var waiting: [Int64: [@Sendable (DroverError?) -> Void]] = [:]
        /// Renewals that wait, of one lease or of many.
        var pending = 0
        var isStopped = false
        var granted = 0
        var revoked = 0
        var renewed = 0
        var expired = 0
    }

    private let state = Mutex(State())
    private let limits: Limits

    init(limits: Limits) {
        self.limits = limits
    }

    func arm(_ leases: [LeaseRecord]) {
        let now = Monotonic.now()
        state.withLock { state in
            for lease in leases { Self.arm(lease, now, &state) }
        }
    }

    private static func arm(_ lease: LeaseRecord, _ now: Int64, _ state: inout State) {
        let deadline = deadline(now, lease.grantedTTL)
        state.leases[lease.id] = Lease(grantedTTL: lease.grantedTTL, deadline: deadline)
        state.due.insert(Due(deadline: deadline, id: lease.id))
    }

    private static func deadline(_ now: Int64, _ ttl: Int64) -> Int64 {
        let (product, overflow) = ttl.multipliedReportingOverflow(by: 1_000_000_000)
        let (sum, overflows) = now.addingReportingOverflow(product)
        return overflow || overflows ? .max : sum
    }

    func exists(_ id: Int64) -> Bool {
        state.withLock { $0.leases[id] != nil }
    }

    /// Whether its time is over and it waits to be revoked for it.
    func isExpiring(_ id: Int64) -> Bool {
        state.withLock { $0.leases[id]?.isExpiring == true }
    }

    var count: Int { state.withLock { $0.leases.count } }

    /// A batch was committed.
    func apply(_ changes: ChangeSet) {
        if changes.grantedLeases.isEmpty && changes.revokedLeases.isEmpty { return }
        let now = Monotonic.now()
        let waiting = state.withLock { state -> [@Sendable (DroverError?) -> Void] in
            var waiting: [@Sendable (DroverError?) -> Void] = []
            for id in changes.revokedLeases {
                state.leases[id] = nil
                state.revoked += 1
                waiting += Self.takeWaiting(id, &state)
            }
            for lease in changes.grantedLeases {
                // One whose end was waited for, and that was granted anew in the same batch.
                waiting += Self.takeWaiting(lease.id, &state)
                Self.arm(lease, now, &state)
                state.granted += 1
            }
            // What was revoked long before its time would stay until then.
            if state.due.count > 2 * state.leases.count + Self.staleEntries {
                let armed = state.leases.filter { !$0.value.isExpiring }
                state.due = Heap(armed.map { Due(deadline: $0.value.deadline, id: $0.key) })
            }
            return waiting
        }
        for resume in waiting { resume(nil) }
    }

    /// The store closes: renewals that wait for a revocation are not kept waiting.
    func stop() {
        let waiting = state.withLock { state in
            defer {
                state.waiting.removeAll()
                state.pending = 0
            }
            state.isStopped = true
            return state.waiting.values.flatMap { $0 }
        }
        for resume in waiting { resume(DroverError(.stopped)) }
    }

    enum Renewal {
        /// Renewed; the granted time to live in seconds.
        case renewed(Int64)
        case unknown
        /// The store is closed.
        case stopped
        /// As many wait for revocations as may.
        case tooMany
        /// It expired and is being revoked; `resume` will be called when that is done, or has failed for now.
        case expiring
    }

    /// Renews a lease. `resume` is kept, and called once from another thread, only when the answer is `.expiring`.
    func renew(_ id: Int64, resume: @escaping @Sendable (DroverError?) -> Void) -> Renewal {
        let now = Monotonic.now()
        return state.withLock { state in
            if state.isStopped { return .stopped }
            guard var lease = state.leases[id] else { return .unknown }
            if lease.isExpiring || lease.deadline <= now {
                if state.pending >= limits.queuedRenewals { return .tooMany }
                state.waiting[id, default: []].append(resume)
                state.pending += 1
                return .expiring
            }
            lease.deadline = Self.deadline(now, lease.grantedTTL)
            state.leases[id] = lease
            state.renewed += 1
            // The heap's entry is moved when it comes up: a renewal every second must not grow it.
            return .renewed(lease.grantedTTL)
        }
    }

    /// Seconds left and granted, or nil of an unknown lease.
    func timeToLive(_ id: Int64) -> (remaining: Int64, granted: Int64)? {
        let now = Monotonic.now()
        return state.withLock { state in
            guard let lease = state.leases[id] else { return nil }
            if lease.deadline == .max { return (lease.grantedTTL, lease.grantedTTL) }
            return (max(0, (lease.deadline - now) / 1_000_000_000), lease.grantedTTL)
        }
    }

    /// All leases, those that expire first in front.
    func all() -> [Int64] {
        state.withLock { state in
            state.leases.sorted { ($0.value.deadline, $0.key) < ($1.value.deadline, $1.key) }.map(\.key)
        }
    }

    /// The leases whose time is over, at most so many, marked as expiring.
    func takeExpired(limit: Int) -> [Int64] {
        let now = Monotonic.now()
        return state.withLock { state in
            var expired: [Int64] = []
            while expired.count < limit, let due = state.due.min, due.deadline <= now {
                state.due.removeMin()
                guard var lease = state.leases[due.id], !lease.isExpiring else { continue }
                if lease.deadline > now {
                    state.due.insert(Due(deadline: lease.deadline, id: due.id))
                    continue
                }
                lease.isExpiring = true
                state.leases[due.id] = lease
                state.expired += 1
                expired.append(due.id)
            }
            return expired
        }
    }

    private static func takeWaiting(_ id: Int64, _ state: inout State) -> [@Sendable (DroverError?) -> Void] {
        let waiting = state.waiting.removeValue(forKey: id) ?? []
        state.pending -= waiting.count
        return waiting
    }

    /// The revocation of an expired lease failed: it is due again, etcd's three seconds later. Who waited for it is told
    /// that the lease's time is over, which a full disk does not change.
    func retryExpiry(_ id: Int64) {
        let now = Monotonic.now()
        let waiting = state.withLock { state in
            if var lease = state.leases[id], lease.isExpiring {
                lease.isExpiring = false
                lease.deadline = now
                state.leases[id] = lease
                state.due.insert(Due(deadline: now + 3_000_000_000, id: id))
            }
            return Self.takeWaiting(id, &state)
        }
        for resume in waiting { resume(nil) }
    }

    /// Totals since the store was opened, for metrics.
    func totals() -> (granted: Int, revoked: Int, renewed: Int, expired: Int) {
        state.withLock { ($0.granted, $0.revoked, $0.renewed, $0.expired) }
    }
}
