import Synchronization

/// Calls for physical compactions that wait until the sweep has come to their revisions. The committer's thread and, where
/// another instance sweeps, the link's may come to answer the same call: who takes it answers.
final class PhysicalWaiters: Sendable {
    private let waiting = Mutex<[(target: Int64, call: WriteCall, reply: WriteReply)]>([])

    func add(_ target: Int64, _ call: WriteCall, _ reply: WriteReply) {
        waiting.withLock { $0.append((target, call, reply)) }
    }

    /// The sweep has come to `revision`.
    func succeed(upTo revision: Int64) {
        for waiter in take(where: { $0 <= revision }) {
            waiter.call.sink.deliver([.init(token: waiter.call.token, result: .success(waiter.reply))])
        }
    }

    func fail(_ error: DroverError) {
        for waiter in take(where: { _ in true }) {
            waiter.call.sink.deliver([.init(token: waiter.call.token, result: .failure(error))])
        }
    }

    private func take(where isTaken: (Int64) -> Bool) -> [(target: Int64, call: WriteCall, reply: WriteReply)] {
        waiting.withLock { waiting in
            if waiting.isEmpty { return [] }
            let taken = waiting.filter { isTaken($0.target) }
            waiting.removeAll { isTaken($0.target) }
            return taken
        }
    }
}
