public import Logging
import Synchronization

#if canImport(Glibc)
    import Glibc
#elseif canImport(Musl)
    import Musl
#elseif canImport(Darwin)
    import Darwin
#endif

/// A key/value store with etcd's semantics over a SQL database.
///
/// A store may be shared freely between tasks and threads. Every write is durable when its call returns; every read is
/// answered from one snapshot of the database.
public final class Store: Sendable {
    /// On whose behalf the asynchronous calls of a task are made: a program's own by default. A server sets it for what it
    /// does for a client.
    @TaskLocal public static var caller = Caller.trusted

    let driver: any Driver
    let readers: ReaderPool
    /// The leases of an embedded database; nil of a shared one.
    let lessor: Lessor?
    /// The leases of a shared database; nil of an embedded one.
    let sharedLeases: SharedLeases?
    /// Point reads of a shared database; nil of an embedded one.
    let points: PointReader?
    let link: InstanceLink?
    let counts: CountCache
    let surveyor: CountSurveyor
    let committer: Committer
    let housekeeper: Housekeeper?
    let system: SystemCache
    /// How much the database may hold.
    public let quota: Quota
    private let sizeWatch: SizeWatch?
    private let feedThread: WorkerThread
    private let writerThread: WorkerThread
    private let keeperThread: WorkerThread
    private let isClosed = Atomic<Bool>(false)
    private let hasClosed = Condition(false)

    /// The feed of committed events.
    let feed: Feed
    /// The limits the store runs with.
    public let limits: Limits
    /// The logger it was given.
    public let logger: Logger
    /// etcd's cluster id, random, as old as the store.
    public let clusterID: UInt64
    /// etcd's member id, random, as old as the store.
    public let memberID: UInt64
    /// Checks requests as etcd does before they are carried out.
    public let validator: RequestValidator

    /// As ``open(driver:configuration:)``, on the calling thread, which it blocks while it connects.
    ///
    /// - Throws: ``DroverError`` with the code ``DroverError/Code/database`` when the database cannot be used; the
    ///   message says why and what to do.
    public init(driver: any Driver, configuration: StoreConfiguration = .init()) throws {
        let limits = configuration.limits.usable
        let logger = configuration.logger
        self.driver = driver
        self.limits = limits
        self.logger = logger

        // Each connection is handed to its thread and used nowhere else. The threads start when nothing can fail any more.
        nonisolated(unsafe) let writer = try Self.opening(driver, logger)
        // Let go of when this fails, so that the driver can be opened again.
        let opened = OpenDriver(driver)
        nonisolated(unsafe) let feedReader = try driver.openReader()
        readers = try ReaderPool(
            driver: driver,
            count: limits.readerThreads,
            queueLimit: limits.queuedReads,
            byteLimit: limits.queuedReadBytes
        )

        let system = SystemCache()
        self.system = system
        let meta = try Self.toOpen {
            defer { feedReader.endSnapshot() }
            let meta = try feedReader.beginSnapshot()
            _ = try system.load(meta, feedReader)
            return meta
        }
        clusterID = meta.clusterID
        memberID = meta.memberID
        validator = RequestValidator(
            maximumTxnOperations: limits.txnOperations,
            maximumKeyBytes: driver.maximumKeyBytes
        )

        let lessor = driver.isShared ? nil : Lessor(limits: limits)
        try Self.toOpen {
            lessor?.arm(try feedReader.leases().map { LeaseRecord(id: $0.id, grantedTTL: $0.state.grantedTTL) })
        }
        let clock = ClockGuard()
        let counts = CountCache(limits: limits, revision: meta.revision)
        let surveyor = CountSurveyor(counts, readers)
        self.surveyor = surveyor
        let seconds = configuration.progressInterval > 0 ? configuration.progressInterval : 600
        let interval = Int64(min(max(0.1, seconds), 1e9) * 1e9)
        let feed = Feed(
            revision: meta.revision,
            limits: limits,
            progressInterval: interval,
            logger: logger,
            system: system
        )
        system.observe { [weak feed] in feed?.post(.permissions) }
        let queue = WriteQueue(limits: limits)
        let duty = SweepDuty(isOurs: !driver.isShared)
        let quota = Quota(bytes: configuration.quotaBytes)
        self.quota = quota
        let committer = Committer(
            queue: queue,
            limits: limits,
            logger: logger,
            leases: lessor.map { .memory($0) } ?? .database(clock),
            waitsForDatabase: driver.isShared,
            quota: quota,
            rows: driver.rowCache,
            effects: .init(
                willCommit: { feed.expect($0) },
                didCommit: { changes in
                    lessor?.apply(changes)
                    if counts.didCommit(changes) { surveyor.start() }
                    feed.publish(changes)
                },
                didNotCommit: { _ in feed.expectNothing() },
                system: { try system.load($0, $1) },
                systemDidChange: { system.keep($0) },
                didFail: { feed.notice($0) },
                position: { feed.position },
                sweepsHere: { duty.isOurs }
            )
        )
        self.lessor = lessor
        self.counts = counts
        self.feed = feed
        self.committer = committer
        sizeWatch = try Self.toOpen {
            try quota.bytes > 0 ? SizeWatch(quota, try driver.openReader()) : nil
        }
        if let lessor {
            let housekeeper = Housekeeper(lessor: lessor, queue: queue, limits: limits)
            self.housekeeper = housekeeper
            sharedLeases = nil
            points = nil
            link = nil
            keeperThread = WorkerThread(name: "drover-keeper") { housekeeper.run() }
        } else {
            let leases = SharedLeases(limits: limits)
            let link = InstanceLink(
                id: meta.memberID,
                leases: leases,
                clock: clock,
                queue: queue,
                feed: feed,
                duty: duty,
                limits: limits,
                logger: logger,
                noticed: { [readers] meta in
                    system.notice(meta, readers)
                    committer.physicalWaiters.succeed(upTo: meta.swept)
                },
                // Another instance's sweep is not seen any more.
                ended: { committer.physicalWaiters.fail($0.asDroverError) }
            )
            housekeeper = nil
            sharedLeases = leases
            points = try PointReader(
                driver: driver,
                limits: limits,
                noticed: { feed.notice($0) },
                system: { try system.load($0, $1) }
            )
            self.link = link
            nonisolated(unsafe) let connection = try driver.openLink()
            try Self.toOpen { try Self.retrying { try link.start(connection) } }
            points?.start()
            keeperThread = WorkerThread(name: "drover-link") { link.run(connection) }
        }
        readers.start()
        sizeWatch?.start()
        writerThread = WorkerThread(name: "drover-commit") { committer.run(writer) }
        feedThread = WorkerThread(name: "drover-feed") { feed.run(feedReader) }
        if meta.swept < meta.compacted { queue.requestSweep() }
        surveyor.start()
        opened.keep()
    }

    /// An instance that starts waits for the locks of those that serve already.
    private static func opening(_ driver: any Driver, _ logger: Logger) throws -> any DriverWriter {
        guard driver.isShared else { return try driver.openWriter() }
        var hasWarned = false
        return try retrying {
            do {
                return try driver.openWriter()
            } catch let error as DroverError {
                if !hasWarned, (error.cause as? DriverFailure)?.kind == .conflict {
                    logger.notice("the database cannot be opened yet", metadata: ["reason": "\(error.message)"])
                    hasWarned = true
                }
                throw error
            }
        }
    }

    /// What keeps a store from being opened is said in the driver's words.
    private static func toOpen<R>(_ body: () throws -> R) throws(DroverError) -> R {
        do {
            return try body()
        } catch let error as DroverError {
            throw error
        } catch let failure as DriverFailure {
            throw DroverError(.database, message: "drover: \(failure.message)", cause: failure)
        } catch {
            throw DroverError(.internalFault, cause: error)
        }
    }

    /// Tries again for a while what meets other writers.
    private static func retrying<R>(_ body: () throws -> R) throws -> R {
        var attempt = 1
        while true {
            do {
                return try body()
            } catch {
                let failure = error as? DriverFailure ?? (error as? DroverError)?.cause as? DriverFailure
                if failure?.kind != .conflict || attempt == 20 { throw error }
                attempt += 1
                usleep(UInt32.random(in: 5_000...100_000))
            }
        }
    }

    /// Opens a store on `driver`, creating or migrating its tables, on a thread of its own. It does not heed cancellation: the
    /// connection's time limits end it.
    ///
    /// - Throws: ``DroverError`` with the code ``DroverError/Code/database`` when the database cannot be used; the
    ///   message says why and what to do.
    public static func open(driver: any Driver, configuration: StoreConfiguration = .init()) async throws -> Store {
        try await withCheckedThrowingContinuation { continuation in
            let thread = WorkerThread(name: "drover-open") {
                continuation.resume(with: Result { try Store(driver: driver, configuration: configuration) })
            }
            thread.detach()
        }
    }

    /// Opens the store that `endpoint` names with the driver that serves its scheme.
    ///
    /// - Parameters:
    ///   - endpoint: such as `sqlite:///var/lib/app/state.db`.
    ///   - drivers: the drivers to choose from, such as `[SQLiteDriver.self]`.
    /// - Throws: ``DroverError`` with ``DroverError/Code/badEndpoint`` when no driver serves it; what
    ///   ``open(driver:configuration:)`` throws.
    public static func open(
        _ endpoint: String,
        using drivers: [any DriverProvider.Type],
        configuration: StoreConfiguration = .init()
    ) async throws -> Store {
        var options = DriverOptions(logger: configuration.logger)
        options.tls = configuration.databaseTLS
        options.cachedRowBytes = configuration.limits.cachedRowBytes
        return try await open(
            driver: driver(endpoint, using: drivers, options: options),
            configuration: configuration
        )
    }

    /// The driver of an endpoint, without a store: for restoring a snapshot, or ``StoreCheck``.
    ///
    /// - Throws: ``DroverError`` with ``DroverError/Code/badEndpoint`` when no driver serves it.
    public static func driver(
        _ endpoint: String,
        using drivers: [any DriverProvider.Type],
        options: DriverOptions
    ) throws -> any Driver {
        guard let provider = drivers.first(where: { $0.serves(endpoint) }) else {
            let known = drivers.flatMap { $0.schemes }.joined(separator: ", ")
            throw DroverError(
                .badEndpoint,
                message: "drover: no backend serves this endpoint's scheme; known schemes: \(known)"
            )
        }
        return try provider.makeDriver(endpoint: endpoint, options: options)
    }

    /// Finishes the writes that wait, ends watches and closes the database. Further calls fail with
    /// ``DroverError/Code/stopped``.
    public func close() async {
        await withCheckedContinuation { continuation in
            let thread = WorkerThread(name: "drover-close") {
                self.closeBlocking()
                continuation.resume()
            }
            thread.detach()
        }
    }

    /// As ``close()``, on the calling thread, which it blocks.
    public func closeBlocking() {
        if isClosed.exchange(true, ordering: .sequentiallyConsistent) {
            // Who closes it a second time may open the database anew as soon as this returns.
            return hasClosed.wait { $0 ? () : nil }
        }
        ending()
        hasClosed.withLock { $0 = true }
        hasClosed.broadcast()
    }

    /// What ends the threads and closes the database. It does not hold the store.
    private var ending: @Sendable () -> Void {
        let (housekeeper, link, keeperThread, points) = (housekeeper, link, keeperThread, points)
        let (sizeWatch, feed, feedThread, readers) = (sizeWatch, feed, feedThread, readers)
        let (committer, writerThread, lessor, driver) = (committer, writerThread, lessor, driver)
        return {
            housekeeper?.stop()
            if link == nil { keeperThread.join() }
            points?.stop()
            sizeWatch?.stop()
            feed.stop()
            feedThread.join()
            readers.stop()
            committer.queue.stop()
            writerThread.join()
            // Last, since the last batch says once more that this instance lives.
            link?.stop()
            if link != nil { keeperThread.join() }
            lessor?.stop()
            driver.close()
        }
    }

    deinit {
        if isClosed.load(ordering: .sequentiallyConsistent) { return }
        logger.warning("a store was let go of without being closed; it is closed now")
        WorkerThread(name: "drover-close", body: ending).detach()
    }

    func checkOpen() throws(DroverError) {
        if isClosed.load(ordering: .sequentiallyConsistent) { throw DroverError(.stopped) }
    }

    // MARK: - For servers

    /// Queues calls for the next group commit; each is answered through its sink.
    public func submit(_ calls: [WriteCall]) {
        if let refused = committer.queue.append(calls) {
            for call in calls { call.sink.deliver([.init(token: call.token, result: .failure(refused))]) }
        }
    }

    /// Whether point reads go through ``submit(points:)``, since a round trip lies between them and their
    /// answers.
    public var queuesPoints: Bool { points != nil }

    /// Queues point reads; those that wait are answered together.
    public func submit(points calls: [PointCall]) {
        guard let refused = points?.submit(calls) else { return }
        for call in calls { call.sink.deliver([.init(token: call.token, result: .failure(refused))]) }
    }

    /// What other instances are told of this one.
    public func announce(name: String, clientURLs: [String]) {
        link?.announce(name: name, clientURLs: clientURLs)
    }

    /// The instances that serve the database; nil of an embedded one, which one process serves. For servers.
    public func instances(_ reader: any DriverReader) throws -> [InstanceRecord]? {
        guard let link else { return nil }
        let own = link.own
        return [own] + (try reader.instances().filter { $0.id != own.id }.sorted { $0.id < $1.id })
    }

    /// A reply shows the database as `meta` says: watches must not stay behind what a client has seen.
    public func notice(_ meta: StoreMeta) {
        if driver.isShared { feed.notice(meta) }
    }

    /// Runs `job` on a reader thread. The error, if any, says why it will not be run.
    ///
    /// - Parameter bytes: what the job's request holds while it waits. Default 0.
    public func read(bytes: Int = 0, _ job: @escaping @Sendable (any DriverReader) -> Void) -> DroverError? {
        readers.submit(bytes: bytes, job)
    }

    /// A reader of the caller's own for point reads on its thread, or nil when the backend is not embedded.
    public func makeInlineReader() throws -> (any DriverReader)? {
        driver.isShared ? nil : try driver.openReader()
    }

    /// A new watch stream whose deliveries go to `target`.
    ///
    /// - Parameter budget: what it shares with others, where it does.
    public func makeWatchConsumer(
        token: UInt64,
        target: any WatchTarget,
        wantsLateProgress: Bool = false,
        budget: WatchBudget? = nil
    ) -> WatchConsumer {
        feed.makeConsumer(token: token, target: target, wantsLateProgress: wantsLateProgress, budget: budget)
    }
}
