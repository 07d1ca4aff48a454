import Synchronization

/// Bytes that the watch streams of one connection may have on their way together: of a client that reads none of them, each
/// stream would hold its own backlog.
public final class WatchBudget: Sendable {
    private let limit: Int
    private let outstanding = Atomic<Int>(0)
    /// Those that wait until half of it is free.
    private let waiting = Mutex<[ObjectIdentifier: WatchConsumer]>([:])

    /// - Parameter bytes: the limit.
    public init(bytes: Int) { limit = bytes }

    /// Whether there is room for more.
    var hasRoom: Bool { outstanding.load(ordering: .sequentiallyConsistent) < limit }

    func take(_ bytes: Int) { outstanding.add(bytes, ordering: .sequentiallyConsistent) }

    func give(back bytes: Int) {
        let left = outstanding.subtract(bytes, ordering: .sequentiallyConsistent).newValue
        // Looked at by the one who crosses the half alone, or every delivery would take the lock.
        guard left <= limit / 2, left + bytes > limit / 2 else { return }
        let consumers = waiting.withLock { waiting in
            defer { waiting = [:] }
            return waiting.values
        }
        for consumer in consumers { consumer.unblock() }
    }

    /// Has the consumer told once there is room; false when there is already.
    func wait(_ consumer: WatchConsumer) -> Bool {
        waiting.withLock { $0[ObjectIdentifier(consumer)] = consumer }
        // It may have been given back between the two.
        if outstanding.load(ordering: .sequentiallyConsistent) > limit / 2 { return true }
        waiting.withLock { $0[ObjectIdentifier(consumer)] = nil }
        return false
    }

    /// The consumer has gone.
    func forget(_ consumer: WatchConsumer) { waiting.withLock { $0[ObjectIdentifier(consumer)] = nil } }
}
