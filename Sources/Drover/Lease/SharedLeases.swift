import Synchronization

/// The leases of a shared database: renewals wait here until they are written together.
final class SharedLeases: Sendable {
    typealias Completion = @Sendable (Result<Int64?, DroverError>) -> Void

    private struct State {
        var waiting: [Int64: [Completion]] = [:]
        var order: [Int64] = []
        /// Renewals that wait, of one lease or of many.
        var pending = 0
        var renewed = 0
        var expired = 0
        var count = 0
        var isStopped = false
    }

    private let state = Mutex(State())
    private let limits: Limits

    init(limits: Limits) {
        self.limits = limits
    }

    /// Renews a lease with the next write; the answer is the time granted, or nil when the lease is gone.
    func renew(_ id: Int64, _ completion: @escaping Completion) {
        let refused = state.withLock { state -> DroverError? in
            if state.isStopped { return DroverError(.stopped) }
            if state.pending >= limits.queuedRenewals { return DroverError(.tooManyRequests) }
            if state.waiting[id] == nil { state.order.append(id) }
            state.waiting[id, default: []].append(completion)
            state.pending += 1
            return nil
        }
        if let refused { completion(.failure(refused)) }
    }

    /// The leases that wait for a renewal, at most so many, with those that wait for the answers.
    func take(limit: Int) -> [(id: Int64, completions: [Completion])] {
        state.withLock { state in
            let count = min(limit, state.order.count)
            if count == 0 { return [] }
            let taken = state.order[..<count].map { ($0, state.waiting.removeValue(forKey: $0) ?? []) }
            state.order.removeFirst(count)
            state.pending -= taken.reduce(0) { $0 + $1.1.count }
            return taken
        }
    }

    /// Those of the leases that no renewal waits for.
    func notWaiting(_ ids: [Int64]) -> [Int64] {
        state.withLock { state in ids.filter { state.waiting[$0] == nil } }
    }

    func didRenew(_ count: Int) { state.withLock { $0.renewed += count } }
    func didExpire(_ count: Int) { state.withLock { $0.expired += count } }

    /// The number of leases when they were last counted.
    var count: Int {
        get { state.withLock { $0.count } }
        set { state.withLock { $0.count = newValue } }
    }

    /// Fails what waits and whatever comes.
    func stop() {
        let left = state.withLock { state -> [[Completion]] in
            state.isStopped = true
            defer { state.waiting = [:] }
            state.order = []
            return Array(state.waiting.values)
        }
        for completion in left.joined() { completion(.failure(DroverError(.stopped))) }
    }

    func totals() -> (granted: Int, revoked: Int, renewed: Int, expired: Int) {
        state.withLock { (0, 0, $0.renewed, $0.expired) }
    }
}
