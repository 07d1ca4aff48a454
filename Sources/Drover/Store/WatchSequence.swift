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

/// The events of a watch, as they are committed. Iterate it once; leaving the loop or cancelling its task ends it.
///
/// A consumer that is slow is not cut off: the watch keeps its place and goes on from the log, in bounded memory.
public struct WatchSequence: AsyncSequence, Sendable {
    public typealias Element = WatchBatch
    let subscription: WatchSubscription

    public struct AsyncIterator: AsyncIteratorProtocol {
        let subscription: WatchSubscription

        /// The next batch; nil when the watch's task was cancelled or the store closed.
        ///
        /// - Throws: ``DroverError`` with `compacted` when the revisions it wanted are gone.
        public mutating func next() async throws -> WatchBatch? {
            try await subscription.next()
        }
    }

    public func makeAsyncIterator() -> AsyncIterator { AsyncIterator(subscription: subscription) }

    /// Asks how far the watch is: a batch without events follows, behind every event up to its revision. Source: etcd
    /// `rpc.proto`, `WatchProgressRequest`.
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
                case .refused(let reason):
                    let starting = state.starting
                    state.starting = nil
                    let known = [DroverError.Code.compacted, .stopped].first { $0.text == reason }
                    let code = known ?? .watchCancelled
                    resume = { starting?.resume(throwing: DroverError(code, message: reason)) }
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
                    } else {
                        state.batches.append((batch, delivery.footprint))
                    }
                case .cancelled(let compactRevision, let reason):
                    let isStopped = reason == DroverError.Code.stopped.text
                    let error = DroverError(
                        compactRevision > 0 ? .compacted : .watchCancelled,
                        message: reason.isEmpty ? nil : reason
                    )
                    let end: Result<Void, DroverError> = isStopped ? .success(()) : .failure(error)
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

    init(_ store: Store) {
        outlet = Outlet()
        consumer = store.makeWatchConsumer(token: 0, target: outlet)
    }

    deinit {
        consumer.close()
    }

    func requestProgress() { consumer.requestProgress() }

    func start(_ request: WatchRequest) async throws {
        try await withCheckedThrowingContinuation { continuation in
            outlet.state.withLock { $0.starting = continuation }
            consumer.create(request)
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
            consumer.close()
            let waiting = outlet.state.withLock { state in
                defer { state.waiting = nil }
                state.ended = .success(())
                return state.waiting
            }
            waiting?.resume(returning: nil)
        }
    }
}
