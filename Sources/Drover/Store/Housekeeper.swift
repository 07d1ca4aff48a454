/// Revokes the leases whose time is over.
final class Housekeeper: ReplySink {
    /// etcd looks every 500 ms.
    private static let round: Int64 = 500_000_000

    private let lessor: Lessor
    private let queue: WriteQueue
    private let limits: Limits
    private let stopping = Condition(false)

    init(lessor: Lessor, queue: WriteQueue, limits: Limits) {
        self.lessor = lessor
        self.queue = queue
        self.limits = limits
    }

    func run() {
        while stopping.wait(nanoseconds: Self.round, { $0 ? true : nil }) == nil {
            let expired = lessor.takeExpired(limit: limits.expiriesPerRound)
            if expired.isEmpty { continue }
            let calls = expired.map { id in
                WriteCall(operation: .leaseExpire(id: id), sink: self, token: UInt64(bitPattern: id))
            }
            if queue.append(calls) != nil {
                for id in expired { lessor.retryExpiry(id) }
            }
        }
    }

    func stop() {
        stopping.withLock { $0 = true }
        stopping.broadcast()
    }

    func deliver(_ completions: [WriteCompletion]) {
        for completion in completions {
            guard case .failure(let error) = completion.result, error.code != .leaseNotFound else { continue }
            lessor.retryExpiry(Int64(bitPattern: completion.token))
        }
    }
}
