import DequeModule
import Synchronization

/// The calls that wait for the committer, with limits in calls and bytes.
final class WriteQueue: Sendable {
    /// What the committer finds when it looks.
    enum Work {
        case calls([WriteCall])
        case sweep
        /// Something that is to be done with the writer between batches.
        case upkeep(@Sendable (any DriverWriter) -> Void)
        case idle
        case stop
    }

    struct State {
        var calls: Deque<WriteCall> = []
        var bytes = 0
        var sweepRequested = false
        var upkeep: Deque<@Sendable (any DriverWriter) -> Void> = []
        var stopping = false
        var committerWaits = false
    }

    private let state = Condition(State())
    /// Moves with every append.
    private let arrivals = Atomic<UInt64>(0)
    private let limits: Limits

    init(limits: Limits) {
        self.limits = limits
    }

    /// Adds calls; those that do not fit are returned with the reason.
    func append(_ calls: [WriteCall]) -> DroverError? {
        var refused: DroverError?
        let wakes = state.withLock { state -> Bool in
            if state.stopping {
                refused = DroverError(.stopped)
                return false
            }
            var bytes = 0
            for call in calls { bytes += call.operation.footprint }
            if state.calls.count + calls.count > limits.queuedWriteCalls
                || (state.bytes + bytes > limits.queuedWriteBytes && !state.calls.isEmpty)
            {
                refused = DroverError(.tooManyRequests)
                return false
            }
            let now = Monotonic.now()
            for var call in calls {
                call.queuedAt = now
                state.calls.append(call)
            }
            arrivals.add(1, ordering: .releasing)
            state.bytes += bytes
            let wakes = state.committerWaits
            state.committerWaits = false
            return wakes
        }
        if wakes { state.signal() }
        return refused
    }

    /// Puts calls back in front, which the last batch could not take.
    func putBack(_ calls: ArraySlice<WriteCall>) {
        state.withLock { state in
            for call in calls.reversed() {
                state.calls.prepend(call)
                state.bytes += call.operation.footprint
            }
        }
    }

    /// Asks for a step of the sweep as soon as there is time.
    func requestSweep() {
        let wakes = state.withLock { state -> Bool in
            state.sweepRequested = true
            let wakes = state.committerWaits
            state.committerWaits = false
            return wakes
        }
        if wakes { state.signal() }
    }

    /// Has something done with the writer between batches; returns why not.
    func requestUpkeep(_ body: @escaping @Sendable (any DriverWriter) -> Void) -> DroverError? {
        var refused: DroverError?
        let wakes = state.withLock { state -> Bool in
            if state.stopping { refused = DroverError(.stopped) }
            if state.upkeep.count >= limits.queuedUpkeep { refused = DroverError(.tooManyRequests) }
            if refused != nil { return false }
            state.upkeep.append(body)
            let wakes = state.committerWaits
            state.committerWaits = false
            return wakes
        }
        if wakes { state.signal() }
        return refused
    }

    /// Whether ``stop()`` was called.
    var isStopping: Bool { state.withLock { $0.stopping } }

    /// Refuses further calls; the committer stops when it has done those that wait.
    func stop() {
        state.withLock { $0.stopping = true }
        state.broadcast()
    }

    /// Whether calls wait.
    var hasCalls: Bool { state.withLock { !$0.calls.isEmpty } }

    /// The next work for the committer. `sweepsFirst` lets a step of the sweep pass before waiting calls, so that a
    /// steady load does not keep it from ever being done.
    ///
    /// For `spinNanoseconds` it looks again and again before it sleeps: waking a thread on an idle core takes longer
    /// than a lone client needs to send its next call.
    func next(sweepsFirst: Bool, idleAfterNanoseconds: Int64, spinNanoseconds: Int64) -> Work {
        if spinNanoseconds > 0 { spin(spinNanoseconds) }
        let work = state.wait(nanoseconds: idleAfterNanoseconds) { state -> Work? in
            if let body = state.upkeep.popFirst() { return .upkeep(body) }
            if state.sweepRequested && (sweepsFirst || state.calls.isEmpty) && !state.stopping {
                state.sweepRequested = false
                return .sweep
            }
            if !state.calls.isEmpty {
                if state.calls.count <= self.limits.batchCalls && state.bytes <= self.limits.batchBytes {
                    let calls = Array(state.calls)
                    state.calls.removeAll(keepingCapacity: true)
                    state.bytes = 0
                    return .calls(calls)
                }
                var calls: [WriteCall] = []
                var bytes = 0
                while let call = state.calls.first, calls.count < self.limits.batchCalls {
                    let footprint = call.operation.footprint
                    if !calls.isEmpty && bytes + footprint > self.limits.batchBytes { break }
                    bytes += footprint
                    calls.append(state.calls.removeFirst())
                }
                state.bytes -= bytes
                return .calls(calls)
            }
            if state.stopping { return .stop }
            state.committerWaits = true
            return nil
        }
        return work ?? .idle
    }
}

extension WriteQueue {
    private func spin(_ nanoseconds: Int64) {
        let seen = arrivals.load(ordering: .acquiring)
        let hasWork = state.withLock { !$0.calls.isEmpty || !$0.upkeep.isEmpty || $0.sweepRequested || $0.stopping }
        if hasWork { return }
        let end = Monotonic.now() + nanoseconds
        while arrivals.load(ordering: .acquiring) == seen && Monotonic.now() < end {}
    }
}
