/// Fills an empty database from a snapshot, on any backend.
public struct SnapshotRestore {
    /// What was restored.
    public struct Result: Sendable, Hashable {
        /// The store's revision.
        public var revision: Int64
        /// The compaction mark.
        public var compacted: Int64
        /// Rows of history.
        public var events: Int
        /// Leases.
        public var leases: Int
        /// The longest key, in bytes.
        public var longestKey: Int
    }

    /// Events and bytes of one batch, about; a revision is never divided.
    private static let batchEvents = 4_096
    private static let batchBytes = 4 << 20

    /// The highest revision of a snapshot, and the most that it is raised by: SQLite numbers the events of 2^43 revisions.
    public static let mostRevision: Int64 = 1 << 41

    private let driver: any Driver
    private let bump: Int64
    private let read: (Int) throws -> Bytes
    /// What has been written so far, by the batch counter and the revision: nobody else may write meanwhile.
    private var written: (batch: Int64, revision: Int64)?

    /// - Parameters:
    ///   - driver: of the database to fill; it must hold nothing of Drover's yet.
    ///   - bump: what the revision is raised by, all that is restored being compacted then. Clients that have seen revisions
    ///     of after the snapshot are so told that they must begin anew, and never take another history's changes for those
    ///     they know; ``mostRevision`` at most. Source: etcdutl's `--bump-revision` and `--mark-compacted`.
    ///   - read: the next bytes of the snapshot, as many as asked for; throws at its end.
    public init(into driver: any Driver, bumpingBy bump: Int64 = 0, _ read: @escaping (Int) throws -> Bytes) {
        self.driver = driver
        self.bump = min(max(0, bump), Self.mostRevision)
        self.read = read
    }

    /// What a snapshot holds, without restoring it.
    public static func summary(_ read: (Int) throws -> Bytes) throws -> Result {
        guard try read(SnapshotRecord.head.count) == SnapshotRecord.head else { throw Self.foreign }
        var result = Result(revision: 1, compacted: 0, events: 0, leases: 0, longestKey: 0)
        while true {
            switch try SnapshotRecord(read) {
            case .event(let event):
                result.events += 1
                result.longestKey = max(result.longestKey, event.key.count)
            case .lease: result.leases += 1
            case .system: break
            case .end(let revision, let compacted):
                (result.revision, result.compacted) = (revision, compacted)
                return result
            }
        }
    }

    private static var foreign: DroverError {
        DroverError(
            .badSnapshot,
            message: "drover: the file is no snapshot of Drover's; one of etcd's own is restored with etcdutl"
        )
    }

    /// Restores and closes the driver.
    ///
    /// - Throws: ``DroverError`` that says what to do: a database that was filled in part is emptied by deleting it, and
    ///   refuses to be opened until then; what
    ///   `read` throws as it is.
    public func run() throws -> Result {
        do {
            var copy = self
            return try copy.restore()
        } catch let failure as DriverFailure {
            throw failure.asDroverError
        }
    }

    private mutating func restore() throws -> Result {
        let writer = try driver.openWriter()
        // One that is refused may serve a store.
        defer {
            writer.close()
            driver.close()
        }
        guard try read(SnapshotRecord.head.count) == SnapshotRecord.head else {
            throw Self.foreign
        }
        let meta = try writer.begin(BatchPrefetch(keys: [])).meta
        writer.rollback()
        // Leases, users and alarms move no revision.
        let reader = try driver.openReader()
        guard try meta.revision == 1 && meta.systemRevision == 0 && reader.leases().isEmpty else {
            throw DroverError(
                .badSnapshot,
                message:
                    "drover: the database is not empty; restore into a new file, or a database without drover_ tables"
            )
        }
        if try !reader.instances().isEmpty {
            throw DroverError(
                .badSnapshot,
                message: "drover: an instance serves this database, or did a moment ago; stop it, and restore then"
            )
        }
        var result = Result(revision: 1, compacted: 0, events: 0, leases: 0, longestKey: 0)
        var events: [ChangeSet.LogEvent] = []
        var leases: [LeaseRecord] = []
        var system: Bytes = []
        var bytes = 0
        while true {
            switch try SnapshotRecord(read) {
            case .event(let event):
                guard event.main >= events.last?.main ?? result.revision else { throw SnapshotRecord.damaged }
                if event.key.count > driver.maximumKeyBytes { throw Self.tooLong(event.key.count, for: driver) }
                result.longestKey = max(result.longestKey, event.key.count)
                if events.count >= Self.batchEvents || bytes >= Self.batchBytes, event.main > events.last!.main {
                    result.revision = events.last!.main
                    try commit(writer, events, revision: result.revision, system: SystemState.unfinishedRestore)
                    events.removeAll(keepingCapacity: true)
                    bytes = 0
                }
                events.append(event)
                bytes += event.key.count + event.value.count
                result.events += 1
            case .lease(let lease):
                leases.append(lease)
            case .system(let state):
                _ = try SystemState(decoding: state)
                system = state
            case .end(let revision, let compacted):
                guard revision >= events.last?.main ?? 1, compacted <= revision, revision <= Self.mostRevision else {
                    throw SnapshotRecord.damaged
                }
                let raised = revision + bump
                (result.revision, result.compacted) = (raised, bump > 0 ? raised : compacted)
                result.leases = leases.count
                // In place of what said that the restore is not finished.
                if system.isEmpty && written != nil { system = SystemState().encoded() }
                try commit(
                    writer,
                    events,
                    revision: result.revision,
                    compacted: result.compacted,
                    leases: leases,
                    system: system.isEmpty ? nil : system
                )
                return result
            }
        }
    }

    static func tooLong(_ bytes: Int, for driver: any Driver) -> DroverError {
        DroverError(
            .badSnapshot,
            message:
                "drover: the snapshot has a key of \(bytes) bytes, and \(driver.name) takes \(driver.maximumKeyBytes) at most; restore into SQLite, or remove such keys and take the snapshot anew"
        )
    }

    /// Refuses a snapshot that the database cannot hold, before anything is written.
    ///
    /// - Parameter summary: of the snapshot.
    /// - Throws: ``DroverError`` with the code ``DroverError/Code/badSnapshot``.
    public func check(_ summary: Result) throws {
        if summary.longestKey > driver.maximumKeyBytes { throw Self.tooLong(summary.longestKey, for: driver) }
    }

    private mutating func commit(
        _ writer: any DriverWriter,
        _ events: [ChangeSet.LogEvent],
        revision: Int64,
        compacted: Int64 = 0,
        leases: [LeaseRecord] = [],
        system: Bytes? = nil
    ) throws {
        var places: [Bytes: Int] = [:]
        var last: [ChangeSet.LogEvent] = []
        for event in events {
            if let place = places[event.key] {
                last[place] = event
            } else {
                places[event.key] = last.count
                last.append(event)
            }
        }
        let base = try writer.begin(BatchPrefetch(keys: last.map(\.key)))
        if let written, base.meta.batch != written.batch || base.meta.revision != written.revision {
            writer.rollback()
            throw DroverError(
                .badSnapshot,
                message: "drover: another process has written to the database meanwhile; stop it, and restore anew"
            )
        }
        // A link to what a compaction had taken away would name a place that is another event's one day.
        var newest: [Bytes: LogPosition] = [:]
        for (event, before) in zip(last, base.states) {
            if let before { newest[event.key] = LogPosition(main: before.main, sub: before.sub) }
        }
        var events = events
        for i in events.indices {
            let previous = newest[events[i].key]
            (events[i].previousMain, events[i].previousSub) = (previous?.main ?? 0, previous?.sub ?? 0)
            newest[events[i].key] = LogPosition(main: events[i].main, sub: events[i].sub)
        }
        var changes = ChangeSet(base: base.meta)
        changes.revision = revision
        changes.compacted = max(compacted, base.meta.compacted)
        changes.events = events
        changes.grantedLeases = leases
        changes.system = system
        changes.keys = zip(last, base.states).map { event, before in
            let after =
                event.version == 0
                ? KeyState(main: event.main, sub: event.sub)
                : KeyState(
                    main: event.main,
                    sub: event.sub,
                    createRevision: event.createRevision,
                    version: event.version,
                    lease: event.lease,
                    valueLength: event.value.count
                )
            return .init(key: event.key, before: before, after: after)
        }
        do {
            try writer.commit(changes)
        } catch {
            writer.rollback()
            throw error
        }
        written = (base.meta.batch + 1, revision)
        // As between the batches of a server: the log of an embedded database would become as long as the snapshot.
        writer.upkeep(idle: false)
    }
}
