import Logging
import Synchronization

#if canImport(Glibc)
    import Glibc
#elseif canImport(Musl)
    import Musl
#elseif canImport(Darwin)
    import Darwin
#endif

/// Group commit: one thread takes all calls that wait and commits them as one database transaction, without a timer.
final class Committer: Sendable {
    /// What the engine does once a batch is in the database, in this order.
    struct Effects: Sendable {
        /// Before COMMIT: remembers creations and deletions for the counts.
        var willCommit: @Sendable (ChangeSet) -> Void
        /// After COMMIT: leases, feed.
        var didCommit: @Sendable (ChangeSet) -> Void
        /// Instead of `didCommit`.
        var didNotCommit: @Sendable (ChangeSet) -> Void
    }

    /// How often a batch is tried again after a conflict before its calls are told that they timed out.
    private static let conflictRetries = 100
    /// How long an unknown outcome is asked for before the calls are told that they timed out, in nanoseconds.
    private static let settleNanoseconds: Int64 = 7_000_000_000

    /// How long the committer looks for the next call of a lone client before it sleeps, in nanoseconds. Measured: 1.1
    /// times the puts of one client with one call at a time, for at most 0.4 ms of a core after each.
    private static let loneCallSpinNanoseconds: Int64 = 400_000
    /// How long a step of the sweep should take at most, in nanoseconds.
    private static let sweepNanoseconds: Int64 = 15_000_000

    let queue: WriteQueue
    private let sweepRows: Atomic<Int>
    let counters = CommitCounters()
    private let limits: Limits
    private let leaseExists: @Sendable (Int64) -> Bool
    private let effects: Effects
    private let logger: Logger
    private let physicalWaiters = Mutex<[(target: Int64, call: WriteCall, reply: WriteReply)]>([])

    init(
        queue: WriteQueue,
        limits: Limits,
        logger: Logger,
        leaseExists: @escaping @Sendable (Int64) -> Bool,
        effects: Effects
    ) {
        self.queue = queue
        self.limits = limits
        self.logger = logger
        self.leaseExists = leaseExists
        self.effects = effects
        sweepRows = Atomic(min(limits.sweepRows, 256))
    }

    /// The thread's body; `writer` belongs to it until it returns.
    func run(_ writer: any DriverWriter) {
        var sweepsFirst = false
        // Where there is another core for the client and the event loop.
        let loneCallSpin = sysconf(Int32(_SC_NPROCESSORS_ONLN)) > 1 ? Self.loneCallSpinNanoseconds : 0
        var spin: Int64 = 0
        while true {
            switch queue.next(sweepsFirst: sweepsFirst, idleAfterNanoseconds: 200_000_000, spinNanoseconds: spin) {
            case .calls(let calls):
                spin = calls.count == 1 ? loneCallSpin : 0
                process(calls[...], writer)
                writer.upkeep(idle: false)
                sweepsFirst = true
            case .sweep:
                sweep(writer)
                sweepsFirst = false
            case .idle:
                spin = 0
                writer.upkeep(idle: true)
            case .stop:
                for waiter in physicalWaiters.withLock({ $0 }) {
                    waiter.call.sink.deliver([.init(token: waiter.call.token, result: .failure(DroverError(.stopped)))])
                }
                writer.close()
                return
            }
        }
    }

    // MARK: - A batch

    private func process(_ calls: ArraySlice<WriteCall>, _ writer: any DriverWriter) {
        var attempt = 0
        while true {
            do {
                try commitOnce(calls, writer)
                return
            } catch let failure as DriverFailure {
                writer.rollback()
                switch failure.kind {
                case .conflict where attempt < Self.conflictRetries:
                    attempt += 1
                    let most = min(1_000 << min(attempt, 6), 50_000)
                    usleep(UInt32.random(in: 500...UInt32(most)))
                    continue
                case .refused where calls.count > 1:
                    // The culprit must stand alone: its neighbours are fine.
                    let middle = calls.startIndex + calls.count / 2
                    process(calls[calls.startIndex..<middle], writer)
                    process(calls[middle...], writer)
                    return
                default:
                    counters.failedBatches.add(1, ordering: .relaxed)
                    logger.error("a batch failed", metadata: ["reason": "\(failure)", "calls": "\(calls.count)"])
                    fail(calls, failure.asDroverError)
                    return
                }
            } catch {
                writer.rollback()
                fail(calls, DroverError(.internalFault, cause: error))
                return
            }
        }
    }

    private func commitOnce(_ calls: ArraySlice<WriteCall>, _ writer: any DriverWriter) throws {
        let started = Monotonic.now()
        var keys: [Bytes] = []
        keys.reserveCapacity(calls.count)
        for call in calls { call.operation.collectKeys(into: &keys) }
        if keys.count > 1 { keys = Self.unique(keys) }
        let (meta, states) = try writer.begin(prefetching: keys)
        var evaluator = TxnEvaluator(
            view: writer,
            meta: meta,
            sharedRows: limits.sharedBatchRows,
            leaseExists: leaseExists
        )
        evaluator.preload(keys, states)

        var completions: [(call: WriteCall, result: Result<WriteReply, DroverError>)] = []
        completions.reserveCapacity(calls.count)
        var taken = calls.startIndex
        evaluation: for call in calls {
            do {
                let reply = try evaluator.evaluate(call.operation)
                completions.append((call, .success(reply)))
            } catch is TxnEvaluator.NeedsOwnBatch {
                break evaluation
            } catch let error as DroverError {
                completions.append((call, .failure(error)))
            }
            taken += 1
            evaluator.isShared = true
            if evaluator.rowsTouched > limits.sharedBatchRows { break }
        }
        if taken < calls.endIndex { queue.putBack(calls[taken...]) }

        let changes = evaluator.changeSet()
        if changes.isEmpty {
            writer.rollback()
        } else {
            effects.willCommit(changes)
            do {
                try commit(changes, writer)
            } catch {
                effects.didNotCommit(changes)
                // Calls that were put back are tried in their own batch; only these failed.
                if taken < calls.endIndex {
                    writer.rollback()
                    let failure = error as? DriverFailure
                    fail(calls[..<taken], failure?.asDroverError ?? DroverError(.internalFault, cause: error))
                    return
                }
                throw error
            }
            counters.record(calls: completions.count, nanoseconds: Monotonic.now() - started)
            effects.didCommit(changes)
        }
        deliver(completions, changes)
    }

    private func commit(_ changes: ChangeSet, _ writer: any DriverWriter) throws {
        do {
            try writer.commit(changes)
        } catch let failure as DriverFailure where failure.kind == .unknownOutcome {
            logger.error("the outcome of a commit is unknown; asking the database", metadata: ["reason": "\(failure)"])
            let deadline = Monotonic.now() + Self.settleNanoseconds
            while true {
                do {
                    if try writer.settle(batch: changes.base.batch + 1) { return }
                    throw DriverFailure(.conflict, "the batch was not committed")
                } catch let again as DriverFailure where again.kind != .conflict {
                    if Monotonic.now() > deadline { throw again }
                    usleep(50_000)
                }
            }
        }
    }

    private static func unique(_ keys: [Bytes]) -> [Bytes] {
        var seen = Set<Bytes>(minimumCapacity: keys.count)
        var result: [Bytes] = []
        result.reserveCapacity(keys.count)
        for key in keys where seen.insert(key).inserted { result.append(key) }
        return result
    }

    // MARK: - Answers

    private func deliver(
        _ completions: [(call: WriteCall, result: Result<WriteReply, DroverError>)],
        _ changes: ChangeSet
    ) {
        var groups: [(sink: any ReplySink, completions: [WriteCompletion])] = []
        for (call, result) in completions {
            if case .compact(let target, true) = call.operation, case .success(let reply) = result {
                physicalWaiters.withLock { $0.append((target, call, reply)) }
                continue
            }
            let completion = WriteCompletion(token: call.token, result: result)
            if let i = groups.firstIndex(where: { $0.sink === call.sink }) {
                groups[i].completions.append(completion)
            } else {
                groups.append((call.sink, [completion]))
            }
        }
        for group in groups { group.sink.deliver(group.completions) }
        if changes.compacted != changes.base.compacted { queue.requestSweep() }
    }

    private func fail(_ calls: ArraySlice<WriteCall>, _ error: DroverError) {
        for call in calls { call.sink.deliver([.init(token: call.token, result: .failure(error))]) }
    }

    // MARK: - The sweep

    private func sweep(_ writer: any DriverWriter) {
        let started = Monotonic.now()
        do {
            let rows = sweepRows.load(ordering: .relaxed)
            let finished = try writer.sweep(rows: rows)
            let taken = Monotonic.now() - started
            counters.sweepNanoseconds.add(Int(taken), ordering: .relaxed)
            counters.longestSweepNanoseconds.max(Int(taken), ordering: .relaxed)
            // Writers wait for a step: it is kept well below 50 ms whatever the disk.
            if taken > Self.sweepNanoseconds {
                sweepRows.store(max(16, rows / 2), ordering: .relaxed)
            } else if taken < Self.sweepNanoseconds / 4 {
                sweepRows.store(min(limits.sweepRows, rows + rows / 4 + 1), ordering: .relaxed)
            }
            writer.upkeep(idle: false)
            if !finished {
                queue.requestSweep()
                return
            }
            let done = physicalWaiters.withLock { waiters in
                defer { waiters.removeAll() }
                return waiters
            }
            for waiter in done {
                waiter.call.sink.deliver([.init(token: waiter.call.token, result: .success(waiter.reply))])
            }
        } catch {
            writer.rollback()
            logger.error(
                "a step of the sweep failed and will be tried again with the next compaction",
                metadata: ["reason": "\(error)"]
            )
            let waiting = physicalWaiters.withLock { waiters in
                defer { waiters.removeAll() }
                return waiters
            }
            let failure = (error as? DriverFailure)?.asDroverError ?? DroverError(.internalFault, cause: error)
            for waiter in waiting {
                waiter.call.sink.deliver([.init(token: waiter.call.token, result: .failure(failure))])
            }
        }
    }
}
