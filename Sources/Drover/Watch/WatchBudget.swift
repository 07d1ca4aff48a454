import DequeModule
import Synchronization

/// Bytes that the watch streams of one connection may have on their way together: of a client that reads none of them, each
/// stream would hold its own backlog.
///
/// A stream that has nothing on its way is not kept waiting by others: it may have what is small at any time, and more up to
/// four times the limit.
public final class WatchBudget: Sendable {
    private static let small = 64 << 10

    private struct Waiting {
        var order: Deque<WatchConsumer> = []
        var members: Set<ObjectIdentifier> = []
    }

    private let limit: Int
    private let outstanding = Atomic<Int>(0)
    /// Consumers that have nothing of their own on its way, whose end would bring them back, in turn.
    private let waiting = Mutex(Waiting())
    private let waitingCount = Atomic<Int>(0)

    /// - Parameter bytes: the limit; 1 at least.
    public init(bytes: Int) { limit = min(max(1, bytes), 1 << 40) }

    /// Whether a consumer with so much of its own on its way may have more.
    func admits(_ bytes: Int, own: Int) -> Bool {
        let total = outstanding.load(ordering: .sequentiallyConsistent)
        return total < limit || own + bytes <= Self.small || own == 0 && total < 4 * limit
    }

    /// Whether everyone may have more.
    var hasRoom: Bool { outstanding.load(ordering: .sequentiallyConsistent) < limit }

    func take(_ bytes: Int) { outstanding.add(bytes, ordering: .sequentiallyConsistent) }

    func give(back bytes: Int) {
        let left = outstanding.subtract(bytes, ordering: .sequentiallyConsistent).newValue
        guard left < 4 * limit, waitingCount.load(ordering: .sequentiallyConsistent) > 0 else { return }
        wakeNext()
    }

    /// Wakes one that waits: some have been let in, or have gone, since they began to.
    private func wakeNext() {
        while let consumer = next(), !consumer.unblock() {}
    }

    private func next() -> WatchConsumer? {
        waiting.withLock { waiting in
            guard let consumer = waiting.order.popFirst() else { return nil }
            waiting.members.remove(ObjectIdentifier(consumer))
            waitingCount.store(waiting.order.count, ordering: .sequentiallyConsistent)
            return consumer
        }
    }

    /// Has the consumer told once there may be room.
    func wait(_ consumer: WatchConsumer) {
        waiting.withLock { waiting in
            guard waiting.members.insert(ObjectIdentifier(consumer)).inserted else { return }
            waiting.order.append(consumer)
            waitingCount.store(waiting.order.count, ordering: .sequentiallyConsistent)
        }
    }

    /// The consumer has gone.
    func forget(_ consumer: WatchConsumer) {
        if waitingCount.load(ordering: .sequentiallyConsistent) == 0 { return }
        // What woke it may have been meant for the next.
        defer { if outstanding.load(ordering: .sequentiallyConsistent) < 4 * limit { wakeNext() } }
        waiting.withLock { waiting in
            guard waiting.members.remove(ObjectIdentifier(consumer)) != nil else { return }
            waiting.order.removeAll { $0 === consumer }
            waitingCount.store(waiting.order.count, ordering: .sequentiallyConsistent)
        }
    }
}
