import DequeModule
import Drover
import EtcdAPI
import Logging
import NIOCore
import Synchronization

/// What the connections of one event loop share: a reader of their own, the calls on their way to the committer, and
/// the outlet for answers and watch events. Used on its event loop, but for the two `deliver` methods.
final class LoopContext: ReplySink, PointSink, WatchTarget, @unchecked Sendable {
    let loop: any EventLoop
    let store: Store
    let header: ResponseHeader
    let configuration: ServerConfiguration
    let metrics: ServerMetrics
    let information: ServerInformation
    /// The version that a downgrade was announced to; it changes nothing here.
    let downgrade: SharedDowngrade
    let access: AccessRules
    /// Who the clients of this loop are.
    let callers: CallerCache
    /// Reads the revision of a shared database.
    private(set) lazy var revisions = RevisionReader(self)
    /// Hashes passwords, for all loops.
    let passwords: PasswordWorker
    /// Nil when the backend is not embedded.
    let reader: (any DriverReader)?

    /// Where a write is a sync of this machine's disk, and there is a core for the loop beside the committer's.
    private let answerWatch: AnswerWatch?
    var listGate: ListGate
    /// The store's revision as of what a connection is being handed: whatever came in one read was sent before it. Nil
    /// until something in the read has asked for it.
    var revisionOfRead: Int64?
    private var connectionsThatSent: Deque<any ListConnection> = []
    private var isBeginningLists = false
    private var isLookingAtLists = false
    private var calls: [WriteCall] = []
    private var pointCalls: [PointCall] = []
    private var pointsWaiting: [PointWaiter?] = []
    private var freePoints: [Int] = []
    // Streams that wait for an answer, by token; a slab, since a dictionary showed in profiles.
    private var waiting: [ServerStream?] = []
    private var free: [Int] = []
    private var watchStreams: [UInt64: WatchStream] = [:]
    private var nextWatchToken: UInt64 = 1
    private var unflushed: [HTTP2Connection] = []
    private(set) var connections: [ObjectIdentifier: any ServerConnection] = [:]
    private var ticker: RepeatedTask?

    init(
        loop: any EventLoop,
        store: Store,
        configuration: ServerConfiguration,
        metrics: ServerMetrics,
        information: ServerInformation,
        downgrade: SharedDowngrade,
        passwords: PasswordWorker,
        tokenUses: TokenUses
    ) throws {
        self.loop = loop
        self.store = store
        self.configuration = configuration
        self.metrics = metrics
        self.information = information
        self.downgrade = downgrade
        self.passwords = passwords
        access = AccessRules(configuration)
        callers = CallerCache(store, configuration.tokens, tokenUses)
        listGate = ListGate(configuration.limits)
        header = ResponseHeader(clusterID: store.clusterID, memberID: store.memberID)
        reader = try store.makeInlineReader()
        answerWatch = reader != nil && System.coreCount > 1 ? AnswerWatch() : nil
    }

    // MARK: - Writes

    /// Queues a write for `stream`; it goes out with ``submit()``.
    func enqueue(_ operation: WriteOperation, for stream: ServerStream) {
        let slot: Int
        if let reused = free.popLast() {
            waiting[reused] = stream
            slot = reused
        } else {
            slot = waiting.count
            waiting.append(stream)
        }
        calls.append(WriteCall(operation: operation, sink: self, token: UInt64(slot), caller: stream.caller))
    }

    /// Queues a point read for `stream`; it goes out with ``submit()``.
    func enqueue(_ request: RangeRequest, for stream: ServerStream) {
        let waiter = PointWaiter(stream: stream, request: request)
        let slot: Int
        if let reused = freePoints.popLast() {
            pointsWaiting[reused] = waiter
            slot = reused
        } else {
            slot = pointsWaiting.count
            pointsWaiting.append(waiter)
        }
        pointCalls.append(
            PointCall(key: request.range.lower, sink: self, token: UInt64(slot), caller: stream.caller)
        )
    }

    func deliver(_ answers: [PointAnswer]) {
        loop.execute {
            for answer in answers {
                let slot = Int(answer.token)
                guard let waiter = self.pointsWaiting[slot] else { continue }
                self.pointsWaiting[slot] = nil
                self.freePoints.append(slot)
                KVService.complete(waiter, answer, self)
            }
            self.flush()
        }
    }

    /// Hands over the calls of this read cycle, with one lock for all of them.
    func submit() {
        if !pointCalls.isEmpty {
            store.submit(points: pointCalls)
            pointCalls.removeAll(keepingCapacity: true)
        }
        if calls.isEmpty { return }
        // Where nobody else can be kept waiting.
        let watches = answerWatch != nil && waiting.count - free.count == 1 && connections.count == 1
        if watches, let answerWatch, answerWatch.begin() {
            loop.execute {
                let completions = answerWatch.look()
                if !completions.isEmpty { self.complete(completions) }
            }
        }
        store.submit(calls)
        calls.removeAll(keepingCapacity: true)
    }

    func deliver(_ completions: [WriteCompletion]) {
        if let answerWatch, answerWatch.take(completions) { return }
        loop.execute { self.complete(completions) }
    }

    private func complete(_ completions: [WriteCompletion]) {
        for completion in completions {
            let slot = Int(completion.token)
            guard let stream = waiting[slot] else { continue }
            waiting[slot] = nil
            free.append(slot)
            KVService.complete(stream, completion.result, self)
        }
        flush()
    }

    // MARK: - Lists

    /// Begins lists that have waited for what `connection` has sent now.
    func beginWaitingLists(_ connection: any ListConnection) {
        if !listGate.hasWaiting { return }
        connectionsThatSent.append(connection)
        beginWaitingLists()
    }

    /// Begins a list, or sees to it that it begins in its turn.
    func begin(_ list: RangeStreamer, _ connection: any ListConnection) {
        if listGate.begin(list, connection) { list.begin() } else { lookAtLists() }
    }

    private func lookAtLists() {
        if isLookingAtLists || !listGate.hasWaiting { return }
        isLookingAtLists = true
        loop.scheduleTask(in: ListGate.looks) {
            self.isLookingAtLists = false
            self.listGate.look()
            self.beginWaitingLists()
            self.flush()
            self.lookAtLists()
        }
    }

    private func beginWaitingLists() {
        // A list that fails at once brings the next one here: a loop, not a recursion.
        if isBeginningLists { return }
        isBeginningLists = true
        repeat {
            let sender = connectionsThatSent.popFirst()
            while let list = listGate.next(sender) { list.begin() }
        } while !connectionsThatSent.isEmpty
        isBeginningLists = false
    }

    // MARK: - Flushing

    /// The connection has something to flush at the end of this round.
    func needsFlush(_ connection: HTTP2Connection) {
        if connection.isInFlushList { return }
        connection.isInFlushList = true
        unflushed.append(connection)
    }

    func flush() {
        if unflushed.isEmpty { return }
        // Flushing may fulfil promises whose callers have something to flush again.
        let due = unflushed
        unflushed.removeAll(keepingCapacity: true)
        for connection in due {
            connection.isInFlushList = false
            connection.flush()
        }
    }

    // MARK: - Watches

    func register(_ stream: WatchStream) -> UInt64 {
        let token = nextWatchToken
        nextWatchToken += 1
        watchStreams[token] = stream
        return token
    }

    func unregister(_ token: UInt64) {
        watchStreams[token] = nil
    }

    func deliver(_ deliveries: [WatchDelivery]) {
        loop.execute {
            for delivery in deliveries {
                if let stream = self.watchStreams[delivery.consumer.token] {
                    stream.take(delivery)
                } else {
                    delivery.consumer.consumed(delivery.footprint)
                }
            }
            self.flush()
        }
    }

    // MARK: - Connections

    func add(_ connection: any ServerConnection) {
        connections[ObjectIdentifier(connection)] = connection
        if ticker == nil {
            // Deadlines are looked at ten times a second: a timer for each call would cost more than the call.
            ticker = loop.scheduleRepeatedTask(initialDelay: .milliseconds(100), delay: .milliseconds(100)) { _ in
                let now = NIODeadline.now()
                for connection in self.connections.values { connection.expire(now) }
                self.flush()
            }
        }
    }

    func remove(_ connection: any ServerConnection) {
        connections[ObjectIdentifier(connection)] = nil
    }

    func stop() {
        ticker?.cancel()
        ticker = nil
    }
}

/// A point read that waits for its answer.
struct PointWaiter {
    var stream: ServerStream
    var request: RangeRequest
}

/// A connection of either version of HTTP.
protocol ServerConnection: AnyObject {
    /// Ends the calls whose deadline has passed.
    func expire(_ now: NIODeadline)
    /// Takes no more calls, lets those in flight finish and ends streams.
    func shutDownGracefully()
    /// Closes at once.
    func close()
}
