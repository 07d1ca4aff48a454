import DequeModule
import Synchronization

/// Events of one or more whole revisions.
public struct WatchBatch: Sendable {
    /// Every event of the watch up to this revision has been delivered with this batch. To go on after a restart, watch
    /// from this revision plus one.
    public var revision: Int64
    /// The events in order; empty in a progress notification.
    public var events: [Event]
}

/// The events of a watch, as they are committed. Iterate it once: leaving the loop, cancelling its task, or letting go of
/// the sequence without iterating ends the watch, and a further loop gets nothing.
///
/// A consumer that is slow is not cut off: the watch keeps its place and goes on from the log, in bounded memory.
public struct WatchSequence: AsyncSequence, Sendable {
    public typealias Element = WatchBatch
    let subscription: WatchSubscription

    /// The way through a watch's batches; the watch ends when it is let go of.
    public struct AsyncIterator: AsyncIteratorProtocol {
        /// Ends the watch with the iterator, though the sequence may be kept for longer.
        private final class Hold: Sendable {
            let subscription: WatchSubscription
            init(_ subscription: WatchSubscription) { self.subscription = subscription }
            deinit { subscription.end() }
        }

        private let hold: Hold

        init(_ subscription: WatchSubscription) {
            hold = Hold(subscription)
        }

        /// The next batch; nil when the watch's task was cancelled or the store closed.
        ///
        /// - Throws: ``DroverError`` with `compacted` when the revisions it wanted are gone.
        public mutating func next() async throws -> WatchBatch? {
            try await hold.subscription.next()
        }
    }

    public func makeAsyncIterator() -> AsyncIterator { AsyncIterator(subscription) }

    /// Asks how far the watch is: a batch without events follows, behind every event up to its revision, as soon as the
    /// watch has caught up; of one whose start revision lies ahead, when the store has come to it. Source: etcd
    /// `rpc.proto`, `WatchProgressRequest`; etcd answers none while a watch is behind.
    public func requestProgress() { subscription.requestProgress() }
}

extension Store {
    /// Watches keys from a revision on.
    ///
    /// - Parameter request: with `startRevision` 0 the watch begins after the store's revision at this moment: what is
    ///   written after this call returned is in it.
    public func watch(_ request: WatchRequest) async throws -> WatchSequence {
        var request = request
        request.caller = Store.caller
        let subscription = WatchSubscription(self)
        try await subscription.start(request)
        return WatchSequence(subscription: subscription)
    }

    /// Watches the keys that begin with `prefix`.
    public func watch(
        prefix: String,
        startRevision: Int64 = 0,
        wantsPrevious: Bool = false
    ) async throws -> WatchSequence {
        try await watch(
            WatchRequest(
                KeyRange(prefix: Bytes(prefix.utf8)),
                startRevision: startRevision,
                wantsPrevious: wantsPrevious
            )
        )
    }

    /// Watches one key.
    public func watch(
        key: String,
        startRevision: Int64 = 0,
        wantsPrevious: Bool = false
    ) async throws -> WatchSequence {
        try await watch(
            WatchRequest(
                KeyRange(lower: Bytes(key.utf8), upper: .single),
                startRevision: startRevision,
                wantsPrevious: wantsPrevious
            )
        )
    }
}

/// One watch of the library's face: what was delivered and who waits for it.
final class WatchSubscription: Sendable {
    private struct State {
        var batches: Deque<(WatchBatch, footprint: Int)> = []
        var waiting: CheckedContinuation<WatchBatch?, any Error>?
        var starting: CheckedContinuation<Void, any Error>?
        var ended: Result<Void, DroverError>?
    }

    private final class Outlet: WatchTarget {
        let state = Mutex(State())

        func deliver(_ deliveries: [WatchDelivery]) {
            for delivery in deliveries { take(delivery) }
        }

        private func take(_ delivery: WatchDelivery) {
            var resume: (() -> Void)?
            state.withLock { state in
                switch delivery.kind {
                case .created:
                    let starting = state.starting
                    state.starting = nil
                    delivery.consumer.consumed(delivery.footprint)
                    resume = { starting?.resume() }
                case .refused(let reason, let code):
                    let starting = state.starting
                    state.starting = nil
                    resume = { starting?.resume(throwing: DroverError(code, message: reason)) }
                case .events where state.ended != nil, .progress where state.ended != nil:
                    // What has ended tells no more: who takes it would go on behind what was missed.
                    delivery.consumer.consumed(delivery.footprint)
                case .events, .progress:
                    var batch = WatchBatch(revision: delivery.revision, events: [])
                    if case .events(let list, let withPrevious) = delivery.kind {
                        batch.events = list.events.map { shared in
                            var event = shared.event
                            if !withPrevious { event.previous = nil }
                            return event
                        }
                    }
                    if let waiting = state.waiting {
                        state.waiting = nil
                        delivery.consumer.consumed(delivery.footprint)
                        resume = { waiting.resume(returning: batch) }
                    } else if batch.events.isEmpty, state.batches.last?.0.events.isEmpty == true {
                        // Asked again before the last answer was taken: one answer does.
                        state.batches[state.batches.count - 1].0.revision = batch.revision
                        delivery.consumer.consumed(delivery.footprint)
                    } else {
                        state.batches.append((batch, delivery.footprint))
                    }
                case .cancelled(let compactRevision, let cause):
                    let error =
                        compactRevision > 0 ? DroverError(.compacted) : cause ?? DroverError(.watchCancelled)
                    let end: Result<Void, DroverError> = error.code == .stopped ? .success(()) : .failure(error)
                    state.ended = end
                    if let waiting = state.waiting {
                        state.waiting = nil
                        resume = { waiting.resume(with: end.map { nil }) }
                    }
                }
            }
            resume?()
        }
    }

    private let outlet: Outlet
    private let consumer: WatchConsumer
    // A store that is let go of closes: not while it is watched.
    private let store: Store

    init(_ store: Store) {
        self.store = store
        outlet = Outlet()
        consumer = store.makeWatchConsumer(token: 0, target: outlet, wantsLateProgress: true)
    }

    deinit {
        consumer.close()
    }

    func requestProgress() { consumer.requestProgress() }

    func start(_ request: WatchRequest) async throws {
        try await withCheckedThrowingContinuation { continuation in
            outlet.state.withLock { $0.starting = continuation }
            if consumer.create(request) { return }
            let starting = outlet.state.withLock { state in
                defer { state.starting = nil }
                return state.starting
            }
            starting?.resume(throwing: DroverError(.tooManyRequests))
        }
    }

    func next() async throws -> WatchBatch? {
        try await withTaskCancellationHandler {
            try await withCheckedThrowingContinuation { continuation in
                var consumed = 0
                let answer: Result<WatchBatch?, DroverError>? = outlet.state.withLock { state in
                    if let (batch, footprint) = state.batches.popFirst() {
                        consumed = footprint
                        return .success(batch)
                    }
                    if let ended = state.ended { return ended.map { nil } }
                    precondition(state.waiting == nil, "a watch is iterated by one task at a time")
                    state.waiting = continuation
                    return nil
                }
                if consumed > 0 { consumer.consumed(consumed) }
                switch answer {
                case .success(let batch): continuation.resume(returning: batch)
                case .failure(let error): continuation.resume(throwing: error)
                case nil: break
                }
            }
        } onCancel: {
            end()
        }
    }

    /// Ends the watch; what was delivered and not taken is given up.
    func end() {
        consumer.close()
        let waiting = outlet.state.withLock { state in
            defer { state.waiting = nil }
            state.ended = .success(())
            state.batches = []
            return state.waiting
        }
        waiting?.resume(returning: nil)
    }
}
