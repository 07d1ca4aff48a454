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
    /// What the engine does around a commit.
    struct Effects: Sendable {
        /// Before COMMIT: the feed learns which revisions are about to come from here.
        var willCommit: @Sendable (ChangeSet) -> Void
        /// After COMMIT: leases, counts, feed.
        var didCommit: @Sendable (ChangeSet) -> Void
        /// Instead of `didCommit`.
        var didNotCommit: @Sendable (ChangeSet) -> Void
        /// Alarms, users and roles, as a batch finds them.
        var system: @Sendable (StoreMeta, any DriverView) throws -> LoadedSystem?
        /// They have changed, and the change is committed.
        var systemDidChange: @Sendable (LoadedSystem) -> Void
        /// A batch has failed.
        var didFail: @Sendable (DriverFailure) -> Void
        /// How far this instance's watches are.
        var position: @Sendable () -> Int64
        /// Whether this instance is the one that sweeps; who begins to be asks the queue for a step.
        var sweepsHere: @Sendable () -> Bool
    }

    /// How often a batch is tried again after a conflict before its calls are told that they timed out.
    private static let conflictRetries = 100
    /// How long the committer looks for the next call of a lone client before it sleeps, in nanoseconds. Measured: 1.1
    /// times the puts of one client with one call at a time, for at most 0.4 ms of a core after each.
    private static let loneCallSpinNanoseconds: Int64 = 400_000
    /// How long after a batch somebody is taken to be writing, in nanoseconds.
    private static let busyNanoseconds: Int64 = 100_000_000
    /// How long after a sweep that could not go on it is tried again, in nanoseconds.
    private static let sweepPauseNanoseconds: Int64 = 200_000_000

    let queue: WriteQueue
    /// How large the sweep's steps are, and what the last batch was. Used on the committer's thread alone.
    private nonisolated(unsafe) var sweepPace: SweepPace
    private nonisolated(unsafe) var lastBatchEvents = 0
    private nonisolated(unsafe) var lastBatchNanoseconds: Int64 = 0
    private nonisolated(unsafe) var lastBatchEnd = Int64.min / 2
    let counters = CommitCounters()
    let limits: Limits
    let leases: LeaseSource
    private let waitsForDatabase: Bool
    private let quota: Quota
    private let rows: RowCache?
    private let effects: Effects
    private let logger: Logger
    /// What a full disk, or a client that sends what the database does not take, would fill the log with.
    private let failures = LogThrottle()
    /// Whether the sweep waits for other instances. Used on the committer's thread alone.
    private nonisolated(unsafe) var sweepWaits = false
    private nonisolated(unsafe) var lastSweep = Int64.min / 2
    private let sweepHolds = SweepHold.Registry()
    /// Why the last batch waited for the database; nil once one did not.
    private nonisolated(unsafe) var away: DriverFailure?
    /// Used on the committer's thread alone, as what is above.
    private nonisolated(unsafe) var reasons = OutageReasons()
    /// Told by the link, too, how far the sweep has come.
    let physicalWaiters = PhysicalWaiters()

    init(
        queue: WriteQueue,
        limits: Limits,
        logger: Logger,
        leases: LeaseSource,
        waitsForDatabase: Bool,
        quota: Quota,
        rows: RowCache?,
        effects: Effects
    ) {
        self.queue = queue
        self.limits = limits
        self.logger = logger
        self.leases = leases
        self.waitsForDatabase = waitsForDatabase
        self.quota = quota
        self.rows = rows
        self.effects = effects
        sweepPace = SweepPace(rows: limits.sweepRows, calls: limits.batchCalls)
    }

    /// The thread's body; `writer` belongs to it until it returns.
    func run(_ writer: any DriverWriter) {
        var (sweepsFirst, hasSkipped) = (false, false)
        // Where there is another core for the client and the event loop.
        let loneCallSpin = sysconf(Int32(_SC_NPROCESSORS_ONLN)) > 1 ? Self.loneCallSpinNanoseconds : 0
        var spin: Int64 = 0
        while true {
            switch queue.next(
                sweepsFirst: sweepsFirst,
                idleAfterNanoseconds: Self.sweepPauseNanoseconds,
                spinNanoseconds: spin
            ) {
            case .calls(let calls):
                spin = calls.count == 1 ? loneCallSpin : 0
                let begun = Monotonic.now()
                process(calls[...], writer)
                lastBatchEnd = Monotonic.now()
                lastBatchNanoseconds = lastBatchEnd - begun
                keepUp(writer, idle: false)
                // Writers wait for one of the two between batches, in turn if need be.
                let isKept = Monotonic.now() - lastBatchEnd > SweepPace.shortest / 2
                sweepsFirst = !isKept || hasSkipped
                hasSkipped = !sweepsFirst
                // Where writers never rest, what a sweep waits for has come about all the same.
                if sweepWaits && lastBatchEnd - lastSweep > Self.sweepPauseNanoseconds { queue.requestSweep() }
            case .sweep:
                sweep(writer)
                sweepsFirst = false
            case .upkeep(let body):
                body(writer)
            case .idle:
                spin = 0
                keepUp(writer, idle: true)
                if sweepWaits { queue.requestSweep() }
            case .stop:
                sweepWaits = false
                physicalWaiters.fail(DroverError(.stopped))
                writer.close()
                return
            }
        }
    }

    private func keepUp(_ writer: any DriverWriter, idle: Bool) {
        writer.upkeep(idle: idle)
        guard let failure = writer.endOfStore else { return }
        effects.didFail(failure)
        // No step of the sweep will answer them: it may be held for minutes yet.
        physicalWaiters.fail(failure.asDroverError)
    }

    private func isBack() {
        if away == nil { return }
        away = nil
        reasons.end()
    }

    // MARK: - A batch

    private func process(_ all: ArraySlice<WriteCall>, _ writer: any DriverWriter) {
        var calls = all
        var attempt = 0
        // Those behind a batch that the database was away for have waited as long.
        if let away { calls = failOverdue(calls, away) }
        while !calls.isEmpty {
            do {
                try commitOnce(calls, writer)
                isBack()
                return
            } catch let failure as DriverFailure {
                writer.rollback()
                attempt += 1
                switch failure.kind {
                case .conflict where attempt <= (queue.isStopping ? 3 : Self.conflictRetries):
                    // A lock may be waited for as long as a call may.
                    calls = failOverdue(calls, failure)
                    counters.conflicts.add(1, ordering: .relaxed)
                    // Jitter keeps instances from meeting again; the longer one has waited, the sooner it tries.
                    let most: UInt32 = attempt < 4 ? 2_000 << UInt32(attempt) : 4_000
                    usleep(UInt32.random(in: 200...most))
                case .unavailable where waitsForDatabase && !queue.isStopping:
                    // The database may be restarting: calls wait for it as long as etcd lets them.
                    away = failure
                    calls = failOverdue(calls, failure)
                    let reason = "\(failure)"
                    logger.log(
                        level: reasons.isNew(reason, now: Monotonic.now()) ? .warning : .debug,
                        "the database is away; calls wait for it",
                        metadata: ["reason": "\(reason)"]
                    )
                    usleep(UInt32.random(in: 10_000...UInt32(min(attempt, 10) * 20_000)))
                case .refused where calls.count > 1, .tooLarge where calls.count > 1, .corrupt where calls.count > 1:
                    // The culprit must stand alone: its neighbours are fine. Damage may be of one row alone.
                    let middle = calls.startIndex + calls.count / 2
                    process(calls[calls.startIndex..<middle], writer)
                    process(calls[middle...], writer)
                    return
                default:
                    if failure.kind != .unavailable && failure.kind != .unknownOutcome {
                        // It is there, whatever it says.
                        isBack()
                    }
                    counters.failedBatches.add(1, ordering: .relaxed)
                    effects.didFail(failure)
                    if let count = failures.admit() {
                        logger.error(
                            "a batch failed",
                            metadata: [
                                "reason": "\(failure)", "calls": "\(calls.count)",
                                "batches since the last line": "\(count)",
                            ]
                        )
                    }
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

    /// Fails the calls that have waited for the database as long as a call may, and returns the rest.
    private func failOverdue(_ calls: ArraySlice<WriteCall>, _ failure: DriverFailure) -> ArraySlice<WriteCall> {
        let oldest = Monotonic.now() - Int64(limits.databaseWaitSeconds * 1e9)
        let rest = calls.filter { $0.queuedAt > oldest }
        if rest.count == calls.count { return calls }
        counters.failedBatches.add(1, ordering: .relaxed)
        fail(calls.filter { $0.queuedAt <= oldest }[...], failure.asDroverError)
        return rest[...]
    }

    private func commitOnce(_ calls: ArraySlice<WriteCall>, _ writer: any DriverWriter) throws {
        let started = Monotonic.now()
        let prefetch = prefetch(calls)
        let base = try writer.begin(prefetch)
        let meta = base.meta
        let asked = Set(prefetch.leases)
        var evaluator = TxnEvaluator(
            view: writer,
            meta: meta,
            sharedRows: limits.sharedBatchRows,
            system: try effects.system(meta, writer),
            quota: quota,
            leaseExists: { [leases] in try leases.exists($0, base, asked: asked, writer) },
            leaseIsExpired: { [leases] in try leases.isExpired($0, base, writer) }
        )
        evaluator.preload(prefetch.keys, base.states)
        if leases.isShared { try preloadAttached(calls, &evaluator, writer) }

        var completions: [(call: WriteCall, result: Result<WriteReply, DroverError>)] = []
        completions.reserveCapacity(calls.count)
        var taken = calls.startIndex
        evaluation: for call in calls {
            do {
                let reply = try evaluator.evaluate(call.operation, call.caller)
                completions.append((call, .success(reply)))
            } catch is TxnEvaluator.NeedsOwnBatch {
                break evaluation
            } catch let error as DroverError {
                completions.append((call, .failure(error)))
            }
            taken += 1
            evaluator.isShared = true
            // A batch is bounded by what it writes down, too: values that calls do not bring but leave as they are.
            if evaluator.rowsTouched > limits.sharedBatchRows || evaluator.loadedBytes > limits.batchBytes { break }
            if leases.isShared && evaluator.revoked.count >= limits.sharedLeaseEnds { break }
        }
        try writer.stayActive()
        let changes = evaluator.changeSet()
        if changes.isEmpty {
            writer.rollback()
        } else {
            effects.willCommit(changes)
            do {
                try writer.stayActive()
                try commit(changes, writer)
            } catch {
                effects.didNotCommit(changes)
                throw error
            }
            counters.record(
                calls: completions.count,
                events: changes.events,
                nanoseconds: Monotonic.now() - started
            )
            if evaluator.hasSystemChanged, let system = evaluator.system { effects.systemDidChange(system) }
            lastBatchEvents = changes.events.count
            effects.didCommit(changes)
        }
        // What must not share this batch goes first in the next one.
        if taken < calls.endIndex { queue.putBack(calls[taken...]) }
        deliver(completions, changes)
        rows?.keep(changes.events)
    }

    private func commit(_ changes: ChangeSet, _ writer: any DriverWriter) throws {
        do {
            try writer.commit(changes)
        } catch let failure as DriverFailure where failure.kind == .unknownOutcome {
            logger.error("the outcome of a commit is unknown; asking the database", metadata: ["reason": "\(failure)"])
            let deadline = Monotonic.now() + Int64(limits.databaseWaitSeconds * 1e9)
            while true {
                let happened: Bool
                do {
                    happened = try writer.settle(batch: changes.base.batch + 1)
                } catch let again as DriverFailure where !again.endsStore {
                    // Whatever kept it from being asked is no answer: a batch that is tried again may happen twice.
                    if Monotonic.now() > deadline { throw DriverFailure(.unknownOutcome, again.message) }
                    usleep(50_000)
                    continue
                }
                if happened { return }
                throw DriverFailure(.conflict, "the batch was not committed")
            }
        }
    }

    // MARK: - Answers

    private func deliver(
        _ completions: [(call: WriteCall, result: Result<WriteReply, DroverError>)],
        _ changes: ChangeSet
    ) {
        var groups: [(sink: any ReplySink, completions: [WriteCompletion])] = []
        for (call, result) in completions {
            if case .compact(let target, true) = call.operation, case .success(let reply) = result {
                physicalWaiters.add(target, call, reply)
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

    /// Keeps the sweep waiting until the hold is released.
    func holdSweep() -> SweepHold { SweepHold(sweepHolds) }

    private func sweep(_ writer: any DriverWriter) {
        guard effects.sweepsHere() else {
            sweepWaits = false
            return
        }
        if sweepHolds.isHeld {
            sweepWaits = true
            lastSweep = Monotonic.now()
            return
        }
        let started = Monotonic.now()
        sweepHolds.count()
        defer {
            sweepHolds.count()
            lastSweep = Monotonic.now()
        }
        let load: SweepPace.Load =
            started - lastBatchEnd < Self.busyNanoseconds
            ? .writers(nanoseconds: lastBatchNanoseconds, events: lastBatchEvents) : .nobody
        let pace = sweepPace.next(load)
        do {
            let step = try writer.sweep(rows: pace.rows, position: effects.position())
            sweepWaits = step == .waiting
            let taken = Monotonic.now() - started
            counters.sweepNanoseconds.add(Int(taken), ordering: .relaxed)
            counters.longestSweepNanoseconds.max(Int(taken), ordering: .relaxed)
            sweepPace.didTake(taken, pace, load, goesOn: step == .more)
            // Where calls wait, their batch comes first and sees to it.
            if !queue.hasCalls { keepUp(writer, idle: false) }
            if step != .finished {
                // A sweep that waits is tried again a fifth of a second later.
                if step == .more { queue.requestSweep() }
                return
            }
            sweepPace.end()
            physicalWaiters.succeed(upTo: .max)
        } catch {
            writer.rollback()
            if let failure = error as? DriverFailure, failure.endsStore {
                sweepWaits = false
                physicalWaiters.fail(failure.asDroverError)
                return
            }
            if let failure = error as? DriverFailure, [.conflict, .unavailable, .noSpace].contains(failure.kind) {
                sweepWaits = true
                return
            }
            // A server may take smaller steps only.
            if let failure = error as? DriverFailure, [.tooLarge, .refused].contains(failure.kind),
                sweepPace.wasRefused(pace)
            {
                sweepWaits = true
                return
            }
            sweepWaits = false
            logger.error(
                "a step of the sweep failed; it is tried again with the next compaction or, on a server, after a while",
                metadata: ["reason": "\(error)"]
            )
            physicalWaiters.fail((error as? DriverFailure)?.asDroverError ?? DroverError(.internalFault, cause: error))
        }
    }
}
