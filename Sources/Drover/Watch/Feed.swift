import DequeModule
import Logging
import Synchronization

/// The ordered stream of committed events, and the hub that finds each event's watches.
///
/// One thread owns all watches. Committed batches enter a bounded ring; the thread takes them from there, or from the
/// log when it has fallen behind the ring, so nothing that is committed can be missed and memory stays bounded.
final class Feed: Sendable {
    enum Command: Sendable {
        case create(WatchConsumer, WatchRequest)
        case cancel(WatchConsumer, Int64)
        case progress(WatchConsumer)
        case drained(WatchConsumer)
        case close(WatchConsumer)
        /// Users or roles have changed.
        case permissions
        /// Nothing is read or written any more.
        case failed(DroverError)

        /// Bytes of the keys that it names.
        var bytes: Int {
            if case .create(_, let request) = self { return request.range.byteCount }
            return 0
        }

        /// Whether a client may have any number of them waiting; of the others there is one for each consumer.
        var isWithoutBound: Bool {
            switch self {
            case .create, .cancel: true
            case .progress, .drained, .close, .permissions, .failed: false
            }
        }
    }

    struct Inbox {
        var commands: Deque<Command> = []
        /// Bytes of the keys that they name.
        var commandBytes = 0
        var ring: FeedRing
        /// The compaction mark, as this instance has moved it.
        var compacted: Int64 = 0
        /// What was seen of others while a batch was being committed here, which was to come with its events.
        var skipped: Int64 = 0
        var threadWaits = false
        var hasWatchers = false
        var stopping = false
    }

    let inbox: Condition<Inbox>
    let limits: Limits
    let logger: Logger
    let progressInterval: Int64
    let counters = FeedCounters()
    let system: SystemCache
    /// The newest revision that is known here, and the compaction mark: what a reply shows above them is news.
    private let known: Atomic<Int64>
    private let knownCompacted = Atomic<Int64>(0)
    /// Revisions up to this one are being committed here, and come through ``publish(_:)``.
    private let expected = Atomic<Int64>(0)
    /// Whether nothing is read or written any more.
    private let hasFailed = Atomic<Bool>(false)
    /// Every event up to this revision has been handed to the watches; the greatest number while there are none.
    private let handedOn = Atomic<Int64>(.max)

    /// - Parameter progressInterval: nanoseconds between progress notifications. etcd: 10 minutes.
    init(
        revision: Int64,
        limits: Limits,
        progressInterval: Int64,
        logger: Logger,
        system: SystemCache = SystemCache()
    ) {
        self.system = system
        self.inbox = Condition(Inbox(ring: FeedRing(position: revision)))
        known = Atomic(revision)
        self.limits = limits
        self.progressInterval = progressInterval
        self.logger = logger
    }

    /// A batch is about to be committed here.
    func expect(_ changes: ChangeSet) { expected.store(changes.revision, ordering: .sequentiallyConsistent) }

    /// It was not.
    func expectNothing() { settle(0) }

    /// Nothing more is expected: what was left to it is read from the log, as what others have committed by `revision` is.
    private func settle(_ revision: Int64) {
        expected.store(0, ordering: .sequentiallyConsistent)
        let wakes = inbox.withLock { inbox -> Bool in
            let seen = max(inbox.skipped, revision)
            inbox.skipped = 0
            if seen <= inbox.ring.position { return false }
            inbox.ring.advance(to: seen)
            advanceKnown(seen, 0)
            return Self.wakes(&inbox)
        }
        if wakes { inbox.signal() }
    }

    private static func wakes(_ inbox: inout Inbox) -> Bool {
        guard inbox.hasWatchers && inbox.threadWaits else { return false }
        inbox.threadWaits = false
        return true
    }

    /// The database has failed, perhaps so that nothing is read or written any more: the watches end then.
    func notice(_ error: any Error) {
        guard let failure = error as? DriverFailure, failure.endsStore else { return }
        // Once: of those that come later none is begun.
        if hasFailed.exchange(true, ordering: .relaxed) { return }
        post(.failed(failure.asDroverError))
    }

    /// How far the watches of this instance are: as far as is known here while there are none.
    var position: Int64 {
        get { min(handedOn.load(ordering: .acquiring), known.load(ordering: .acquiring)) }
        set { handedOn.store(newValue, ordering: .releasing) }
    }

    /// The database was seen as `meta` says: what others have committed is read from the log. Returns whether it was
    /// news.
    @discardableResult
    func notice(_ meta: StoreMeta) -> Bool {
        let revision = meta.revision
        let isNews = revision > known.load(ordering: .acquiring)
        if !isNews && meta.compacted <= knownCompacted.load(ordering: .acquiring) { return false }
        let wakes = inbox.withLock { inbox -> Bool in
            inbox.compacted = max(inbox.compacted, meta.compacted)
            // What is being committed here is about to come with its events.
            if isNews && revision <= expected.load(ordering: .sequentiallyConsistent) {
                inbox.skipped = max(inbox.skipped, revision)
                advanceKnown(0, meta.compacted)
                return false
            }
            inbox.ring.advance(to: revision)
            advanceKnown(revision, meta.compacted)
            return Self.wakes(&inbox)
        }
        if wakes { inbox.signal() }
        return isNews
    }

    private func advanceKnown(_ revision: Int64, _ compacted: Int64) {
        known.max(revision, ordering: .sequentiallyConsistent)
        knownCompacted.max(compacted, ordering: .sequentiallyConsistent)
    }

    /// A batch was committed.
    func publish(_ changes: ChangeSet) {
        if changes.compacted != changes.base.compacted {
            inbox.withLock { $0.compacted = max($0.compacted, changes.compacted) }
            advanceKnown(0, changes.compacted)
        }
        guard !changes.events.isEmpty else { return settle(changes.base.revision) }
        let batch = FeedBatch(
            firstRevision: changes.base.revision + 1,
            lastRevision: changes.revision,
            events: changes.events
        )
        let wakes = inbox.withLock { inbox -> Bool in
            inbox.ring.append(batch, limits: limits)
            advanceKnown(batch.lastRevision, 0)
            inbox.skipped = 0
            expected.store(0, ordering: .sequentiallyConsistent)
            return Self.wakes(&inbox)
        }
        if wakes { inbox.signal() }
    }

    /// Queues a command.
    ///
    /// - Returns: false when too many wait that their clients may make without end. When the store closes a create is
    ///   answered with that.
    @discardableResult
    func post(_ command: Command) -> Bool {
        var isLate = false
        var isTaken = true
        let bytes = command.bytes
        let wakes = inbox.withLock { inbox -> Bool in
            isLate = inbox.stopping
            if isLate { return false }
            let isFull =
                inbox.commands.count >= limits.watchCommands || inbox.commandBytes + bytes > limits.watchCommandBytes
            if isFull && command.isWithoutBound {
                isTaken = false
                return false
            }
            inbox.commands.append(command)
            inbox.commandBytes += bytes
            let wakes = inbox.threadWaits
            inbox.threadWaits = false
            return wakes
        }
        if wakes { inbox.signal() }
        if isLate, case .create(let consumer, _) = command {
            let refusal = WatchDelivery.Kind.refused(reason: DroverError.Code.stopped.text, code: .stopped)
            consumer.target.deliver([WatchDelivery(consumer: consumer, id: -1, revision: 0, kind: refusal)])
        }
        return isTaken
    }

    func stop() {
        inbox.withLock { $0.stopping = true }
        inbox.broadcast()
    }

    func makeConsumer(
        token: UInt64,
        target: any WatchTarget,
        wantsLateProgress: Bool,
        budget: WatchBudget? = nil
    ) -> WatchConsumer {
        WatchConsumer(
            token: token,
            target: target,
            feed: self,
            backlogLimit: limits.watchBacklogBytes,
            wantsLateProgress: wantsLateProgress,
            budget: budget
        )
    }

    /// The thread's body; `reader` belongs to it until it returns.
    func run(_ reader: any DriverReader) {
        let hub = WatchHub(feed: self, reader: reader)
        hub.run()
    }
}

/// What the feed counts, for metrics.
public final class FeedCounters: Sendable {
    let watchers = Atomic<Int>(0)
    let slowWatchers = Atomic<Int>(0)
    let events = Atomic<Int>(0)
    let passes = Atomic<Int>(0)
    let passChunks = Atomic<Int>(0)

    /// Watches open, watches behind, events delivered, passes over the log and their chunks.
    public func snapshot() -> (watchers: Int, slow: Int, events: Int, passes: Int, chunks: Int) {
        (
            watchers.load(ordering: .relaxed), slowWatchers.load(ordering: .relaxed), events.load(ordering: .relaxed),
            passes.load(ordering: .relaxed), passChunks.load(ordering: .relaxed)
        )
    }
}
