import Logging
import Synchronization

#if canImport(Glibc)
    import Glibc
#elseif canImport(Musl)
    import Musl
#elseif canImport(Darwin)
    import Darwin
#endif

/// What an instance does on a shared database beside batches: says that it lives, looks for what others commit, writes
/// renewals of leases and finds those whose time is over.
final class InstanceLink: ReplySink {
    /// How often renewals are written together, in nanoseconds.
    private static let renewals: Int64 = 100_000_000
    /// etcd looks for leases that are over every 500 ms.
    private static let expiry: Int64 = 500_000_000
    private static let heartbeats: Int64 = 1_000_000_000
    private static let counting: Int64 = 10_000_000_000
    /// How long after the last round of renewals the database is taken to have stood still.
    private static let stall: Int64 = 5_000_000_000
    /// How long what conflicts is tried again at once.
    private static let patience: Int64 = 300_000_000
    /// How long between two looks for others' commits when nobody commits, and when somebody does. With the rest it
    /// comes to less than twenty queries a second while nothing happens.
    private static let idlePoll: Int64 = 85_000_000
    private static let busyPoll: Int64 = 10_000_000

    private struct State {
        var own: InstanceRecord
        var living: [InstanceRecord] = []
        var expiring: Set<Int64> = []
        /// Whether it is not known yet whether other instances serve.
        var isArriving = true
        var arrival: Arrival?
    }

    private let state: Mutex<State>
    private let stopping = Atomic<Bool>(false)
    private let hasEnded = Atomic<Bool>(false)
    private let leases: SharedLeases
    private let clock: ClockGuard
    /// The database's clock as of the start.
    private let arrivalClock = ClockGuard()
    private let queue: WriteQueue
    private let feed: Feed
    private let duty: SweepDuty
    private let limits: Limits
    private let logger: Logger
    /// Told of what each look at the database shows.
    private let noticed: @Sendable (StoreMeta) -> Void
    /// Told that nothing is read or written any more.
    private let ended: @Sendable (DriverFailure) -> Void

    init(
        id: UInt64,
        leases: SharedLeases,
        clock: ClockGuard,
        queue: WriteQueue,
        feed: Feed,
        duty: SweepDuty,
        limits: Limits,
        logger: Logger,
        noticed: @escaping @Sendable (StoreMeta) -> Void,
        ended: @escaping @Sendable (DriverFailure) -> Void
    ) {
        self.noticed = noticed
        self.ended = ended
        state = Mutex(State(own: InstanceRecord(id: id, name: "drover", clientURLs: [], position: 0)))
        self.leases = leases
        self.clock = clock
        self.queue = queue
        self.feed = feed
        self.duty = duty
        self.limits = limits
        self.logger = logger
    }

    /// What others are told of this instance, from the next heartbeat on.
    func announce(name: String, clientURLs: [String]) {
        state.withLock {
            $0.own.name = name
            $0.own.clientURLs = clientURLs
        }
    }

    /// This instance, as others see it.
    var own: InstanceRecord { state.withLock { $0.own } }

    func stop() { stopping.store(true, ordering: .sequentiallyConsistent) }

    /// Lets others see this instance, and gives every lease its full time when no other is seen.
    func start(_ link: any DriverLink) throws {
        // An instance that has been refused for its history must not keep others' leases alive.
        _ = try link.poll()
        clock.forget()
        state.withLock { $0.isArriving = true }
        let asked = Monotonic.now()
        arrivalClock.set(try link.expired(limit: 0).now, asked: asked)
        try beat(link)
        state.withLock { $0.arrival = Arrival(own: $0.own.id, living: $0.living, now: Monotonic.now()) }
        try arrive(link)
    }

    private func arrive(_ link: any DriverLink) throws {
        let (arrival, living) = state.withLock { ($0.arrival, $0.living) }
        guard let arrival else { return }
        switch arrival.decide(living: living, now: Monotonic.now()) {
        case .open: return
        case .first: try rearm(link)
        case .joined:
            // The one that serves may have seen the clock jump, and not have given leases their time yet.
            let asked = Monotonic.now()
            let now = try link.expired(limit: 0).now
            if arrivalClock.holds(now, asked: asked) { clock.set(now, asked: asked) } else { try rearm(link) }
        }
        state.withLock {
            $0.arrival = nil
            $0.isArriving = false
        }
        // Others may wait to be told.
        try beat(link)
    }

    /// Gives every lease its full time, as etcd does when it starts or its leader changes, and takes the database's clock
    /// for right from now on.
    private func rearm(_ link: any DriverLink) throws {
        var next: Int64? = .min
        var beaten = Monotonic.now()
        // Some at a time, so that renewals and revocations elsewhere get between, and the whole is not begun again for them.
        while let from = next {
            next = try patiently { try link.rearm(from: from) }
            if Monotonic.now() - beaten > Self.heartbeats {
                beaten = Monotonic.now()
                try beat(link)
            }
        }
        let asked = Monotonic.now()
        clock.set(try link.expired(limit: 0).now, asked: asked)
    }

    /// The thread's body; `link` belongs to it until it returns.
    func run(_ link: any DriverLink) {
        var due = Schedule()
        var turn = SweepTurn(own: own.id)
        var needsRearm = false
        var needsStart = false
        var failures = 0
        var reasons = OutageReasons()
        var renewed = Monotonic.now()
        while !stopping.load(ordering: .sequentiallyConsistent) {
            do {
                if needsStart {
                    try start(link)
                    needsStart = false
                    renewed = Monotonic.now()
                }
                if needsRearm {
                    try rearm(link)
                    needsRearm = false
                    renewed = Monotonic.now()
                }
                let hinted = try link.wait(nanoseconds: due.next(Monotonic.now()))
                if hinted || due.poll <= Monotonic.now() {
                    let meta = try link.poll()
                    let moved = feed.notice(meta)
                    noticed(meta)
                    due.poll = Monotonic.now() + (moved ? Self.busyPoll : Self.idlePoll)
                    watchSweep(meta, &turn)
                }
                // A look may have taken long: what waited for it is renewed before anything is ended.
                let now = Monotonic.now()
                if due.renewals <= now || due.expiry <= now {
                    due.renewals = now + Self.renewals
                    try renew(link)
                    // While the database stood still nobody's renewals came through, here or elsewhere.
                    if Monotonic.now() - renewed > Self.stall {
                        logger.warning("the database stood still; every lease gets its full time again")
                        needsRearm = true
                    }
                    renewed = Monotonic.now()
                }
                if due.expiry <= now && !needsRearm {
                    due.expiry = now + Self.expiry
                    needsRearm = try !expire(link)
                }
                if due.heartbeat <= now {
                    due.heartbeat = now + Self.heartbeats
                    try beat(link)
                    try arrive(link)
                }
                if due.counting <= now {
                    due.counting = now + Self.counting
                    leases.count = try link.leaseCount()
                }
                failures = 0
                reasons.end()
            } catch let failure as DriverFailure where failure.kind == .conflict {
                // Somebody was in the way; the connection is as good as before.
                usleep(20_000)
            } catch {
                notice(error)
                tell(error, &reasons)
                needsStart = true
                failures += 1
                usleep(UInt32(min(failures, 50) * 20_000))
                reconnect(link, &reasons)
            }
        }
        leases.stop()
        link.leave()
    }

    private struct Schedule {
        var poll: Int64 = 0
        var renewals: Int64 = 0
        var expiry: Int64 = 0
        var heartbeat: Int64 = 0
        var counting: Int64 = 0

        func next(_ now: Int64) -> Int64 {
            max(0, min(poll, renewals, expiry, heartbeat) - now)
        }
    }

    /// Until it is back, nothing of what others commit is seen, and no lease is renewed or ended here.
    private func tell(_ error: any Error, _ reasons: inout OutageReasons) {
        let reason = "\(error)"
        logger.log(
            level: reasons.isNew(reason, now: Monotonic.now()) ? .warning : .debug,
            "the link to the database failed; connecting anew",
            metadata: ["reason": "\(reason)"]
        )
    }

    private func reconnect(_ link: any DriverLink, _ reasons: inout OutageReasons) {
        var pause: UInt32 = 20_000
        while !stopping.load(ordering: .sequentiallyConsistent) {
            do {
                return try link.reconnect()
            } catch {
                // Another connection may have found that the history is lost.
                notice(error)
                tell(error, &reasons)
            }
            usleep(pause)
            pause = min(pause * 2, 500_000)
        }
    }

    /// The link is of no use: whoever waits for it is told.
    private func notice(_ error: any Error) {
        feed.notice(error)
        let failure = error as? DriverFailure
        if let failure, failure.endsStore {
            // Once, and whatever was said of an outage before: who only reads and watches here would not be told otherwise.
            if !hasEnded.exchange(true, ordering: .relaxed) {
                logger.error(
                    "nothing is read or written any more, until this instance is restarted",
                    metadata: ["reason": "\(failure)"]
                )
            }
            ended(failure)
        }
        // A renewal must not wait for longer than its client does.
        fail(leases.take(limit: .max), failure?.asDroverError ?? DroverError(.connectionLost))
    }

    private func fail(_ waiting: [(id: Int64, completions: [SharedLeases.Completion])], _ error: DroverError) {
        for renewal in waiting { for completion in renewal.completions { completion(.failure(error)) } }
    }

    private func renew(_ link: any DriverLink) throws {
        while true {
            let waiting = leases.take(limit: limits.renewalBatch)
            if waiting.isEmpty { return }
            let renewed: [Int64: Int64]
            do {
                renewed = try patiently { try link.renew(waiting.map(\.id)) }
            } catch {
                fail(waiting, (error as? DriverFailure)?.asDroverError ?? DroverError(.internalFault, cause: error))
                throw error
            }
            leases.didRenew(renewed.count)
            for renewal in waiting {
                for completion in renewal.completions { completion(.success(renewed[renewal.id])) }
            }
            // What came meanwhile goes with the next round: the link has other things to do.
            if waiting.count < limits.renewalBatch || stopping.load(ordering: .sequentiallyConsistent) { return }
        }
    }

    /// Does something once more when another writer was in the way. A lock that was waited for is not waited for again:
    /// the link has other things to do.
    private func patiently<R>(_ body: () throws -> R) throws -> R {
        let begun = Monotonic.now()
        while true {
            do {
                return try body()
            } catch let failure as DriverFailure where failure.kind == .conflict {
                if Monotonic.now() - begun > Self.patience { throw failure }
                usleep(.random(in: 1_000...20_000))
            }
        }
    }

    /// Queues the revocation of leases whose time is over; false when the clock has jumped.
    private func expire(_ link: any DriverLink) throws -> Bool {
        if state.withLock({ $0.isArriving }) { return true }
        let asked = Monotonic.now()
        let (found, now) = try link.expired(limit: limits.expiriesPerRound)
        guard clock.holds(now, asked: asked) else {
            logger.warning("the database's clock has jumped; every lease gets its full time again")
            return false
        }
        clock.set(now, asked: asked)
        // The answer may have taken long: whoever has renewed meanwhile is written first.
        let over = leases.notWaiting(found)
        let fresh = state.withLock { state in over.filter { state.expiring.insert($0).inserted } }
        if fresh.isEmpty { return true }
        let calls = fresh.map {
            WriteCall(operation: .leaseExpire(id: $0), sink: self, token: UInt64(bitPattern: $0))
        }
        if queue.append(calls) != nil { state.withLock { $0.expiring.subtract(fresh) } }
        return true
    }

    func deliver(_ completions: [WriteCompletion]) {
        var expired = 0
        state.withLock { state in
            for completion in completions {
                state.expiring.remove(Int64(bitPattern: completion.token))
                if case .success = completion.result { expired += 1 }
            }
        }
        leases.didExpire(expired)
    }

    private func beat(_ link: any DriverLink) throws {
        var (own, isArriving) = state.withLock { ($0.own, $0.isArriving) }
        own.position = isArriving ? InstanceRecord.arriving : feed.position
        let living = try link.heartbeat(own)
        state.withLock { $0.living = living }
    }

    /// What any instance has compacted is swept by the one whose turn it is.
    private func watchSweep(_ meta: StoreMeta, _ turn: inout SweepTurn) {
        let decision = turn.decide(meta, living: state.withLock { $0.living }, now: Monotonic.now())
        duty.isOurs = decision.isOurs
        if decision.begins { queue.requestSweep() }
    }
}
