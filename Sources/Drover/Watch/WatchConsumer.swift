import Synchronization

/// One watch stream: any number of watches whose deliveries share an outlet and a backlog.
///
/// Its commands are carried out by the feed's thread, in order.
public final class WatchConsumer: Sendable {
    /// The number that its maker knows it by.
    public let token: UInt64
    let target: any WatchTarget
    let backlogLimit: Int
    /// Whether progress that was asked for while watches are behind is told when they have caught up; etcd tells none.
    let wantsLateProgress: Bool
    private let feed: Feed
    /// What all watch streams of one connection share; nil is none.
    private let budget: WatchBudget?
    /// Bytes delivered and not yet consumed.
    private let outstanding = Atomic<Int>(0)
    /// Requests of progress that the feed's thread has not seen yet: one command is for all of them.
    private let progressAsked = Atomic<Int>(0)
    /// Set by the feed while watches of this consumer wait for it to drain.
    private let blocked = Atomic<Bool>(false)

    /// The watches, and the next id to try; touched by the feed's thread alone.
    nonisolated(unsafe) var watchers: [Int64: Watcher] = [:]
    nonisolated(unsafe) var nextID: Int64 = 0
    nonisolated(unsafe) var isClosed = false

    init(
        token: UInt64,
        target: any WatchTarget,
        feed: Feed,
        backlogLimit: Int,
        wantsLateProgress: Bool,
        budget: WatchBudget?
    ) {
        self.token = token
        self.target = target
        self.feed = feed
        self.backlogLimit = backlogLimit
        self.wantsLateProgress = wantsLateProgress
        self.budget = budget
    }

    /// Starts a watch; the answer is a delivery.
    ///
    /// - Returns: false when too many commands wait, and there will be no answer.
    public func create(_ request: WatchRequest) -> Bool { feed.post(.create(self, request)) }
    /// Ends a watch; an unknown id is not answered.
    ///
    /// - Returns: false when too many commands wait, and the watch goes on.
    @discardableResult
    public func cancel(_ id: Int64) -> Bool { feed.post(.cancel(self, id)) }
    /// Asks how far the watches are. Requests that come faster than they are seen may be answered together.
    public func requestProgress() {
        if progressAsked.add(1, ordering: .acquiringAndReleasing).oldValue == 0 { feed.post(.progress(self)) }
    }
    /// Ends all watches without an answer.
    public func close() { feed.post(.close(self)) }

    /// Bytes of deliveries have left the process.
    public func consumed(_ bytes: Int) {
        let left = outstanding.subtract(bytes, ordering: .sequentiallyConsistent).newValue
        if left <= backlogLimit / 2 && blocked.load(ordering: .sequentiallyConsistent) {
            // One that the budget keeps waiting comes back when it has nothing more on its way; not with each that leaves.
            if left == 0 || budget?.hasRoom ?? true { unblock() }
        }
        if let budget { budget.give(back: bytes) }
    }

    /// Tells the feed, if it waits, that there may be room again. Returns whether it did.
    @discardableResult
    func unblock() -> Bool {
        guard blocked.exchange(false, ordering: .sequentiallyConsistent) else { return false }
        feed.post(.drained(self))
        return true
    }

    /// Whether there is room for so many bytes more. When not, the feed is told once there is.
    @inline(__always)
    func hasRoom(for bytes: Int = 0) -> Bool { isRoom(for: bytes) || waitsForRoom(for: bytes) }

    private func waitsForRoom(for bytes: Int) -> Bool {
        blocked.store(true, ordering: .sequentiallyConsistent)
        // What it has on its way brings it back; where that is nothing, what others have.
        if outstanding.load(ordering: .sequentiallyConsistent) == 0 { budget?.wait(self) }
        // It may have drained between the two.
        guard isRoom(for: bytes) else { return false }
        // Other watches of it may wait as well.
        unblock()
        return true
    }

    @inline(__always)
    private func isRoom(for bytes: Int) -> Bool {
        let own = outstanding.load(ordering: .sequentiallyConsistent)
        if own > 0 && own >= backlogLimit { return false }
        guard let budget else { return true }
        return budget.admits(bytes, own: own)
    }

    /// Its watches have ended: nothing of it waits for room any more. By the feed's thread, which alone makes it wait.
    func forget() { budget?.forget(self) }

    /// The requests of progress that have come since the last call.
    func takeProgressRequests() -> Int { progressAsked.exchange(0, ordering: .acquiringAndReleasing) }

    func delivered(_ bytes: Int) {
        outstanding.add(bytes, ordering: .sequentiallyConsistent)
        if let budget { budget.take(bytes) }
    }
}

/// A watch, as the feed's thread knows it.
final class Watcher {
    let id: Int64
    let consumer: WatchConsumer
    let request: WatchRequest
    /// Who may go on watching. Once known it stays known: that a token becomes too old does not end a watch.
    var caller: Caller
    /// The first revision that was not delivered yet. Of a watch that is in step with the feed it is a lower bound.
    var next: Int64
    var place = Place.synced
    /// The pass that it takes part in.
    var pass: CatchUpPass?
    /// Events found for it in the present dispatch, where they are not those of all watches of its range.
    var pending: [SharedEvent] = []
    /// Whether it was told anything since the last round of progress notifications.
    var wasTold = false

    enum Place {
        /// In step with the feed.
        case synced
        /// Behind, taking part in a pass over the log.
        case inPass
        /// Behind, waiting for the next pass.
        case ready
        /// Behind, waiting for its consumer to drain.
        case blocked
        /// Gone.
        case ended
    }

    init(id: Int64, consumer: WatchConsumer, request: WatchRequest, next: Int64) {
        self.id = id
        self.consumer = consumer
        self.request = request
        caller = request.caller
        self.next = next
    }
}
