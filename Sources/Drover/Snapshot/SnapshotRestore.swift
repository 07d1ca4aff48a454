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
    }

    /// Events and bytes of one batch, about; a revision is never divided.
    private static let batchEvents = 4_096
    private static let batchBytes = 4 << 20

    private let driver: any Driver
    private let read: (Int) throws -> Bytes

    /// - Parameters:
    ///   - driver: of the database to fill; it must hold nothing of Drover's yet.
    ///   - read: the next bytes of the snapshot, as many as asked for; throws at its end.
    public init(into driver: any Driver, _ read: @escaping (Int) throws -> Bytes) {
        self.driver = driver
        self.read = read
    }

    /// What a snapshot holds, without restoring it.
    public static func summary(_ read: (Int) throws -> Bytes) throws -> Result {
        guard try read(SnapshotRecord.head.count) == SnapshotRecord.head else { throw Self.foreign }
        var result = Result(revision: 1, compacted: 0, events: 0, leases: 0)
        while true {
            switch try SnapshotRecord(read) {
            case .event: result.events += 1
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
    /// - Throws: ``DroverError`` that says what to do: a database that was filled in part is emptied by deleting it; what
    ///   `read` throws as it is.
    public func run() throws -> Result {
        defer { driver.close() }
        do {
            return try restore()
        } catch let failure as DriverFailure {
            throw failure.asDroverError
        }
    }

    private func restore() throws -> Result {
        let writer = try driver.openWriter()
        defer { writer.close() }
        guard try read(SnapshotRecord.head.count) == SnapshotRecord.head else {
            throw Self.foreign
        }
        let meta = try writer.begin(BatchPrefetch(keys: [])).meta
        writer.rollback()
        // Leases, users and alarms move no revision.
        guard try meta.revision == 1 && meta.systemRevision == 0 && driver.openReader().leases().isEmpty else {
            throw DroverError(
                .badSnapshot,
                message:
                    "drover: the database is not empty; restore into a new file, or a database without drover_ tables"
            )
        }
        var result = Result(revision: 1, compacted: 0, events: 0, leases: 0)
        var events: [ChangeSet.LogEvent] = []
        var leases: [LeaseRecord] = []
        var system: Bytes = []
        var bytes = 0
        while true {
            switch try SnapshotRecord(read) {
            case .event(let event):
                guard event.main >= events.last?.main ?? result.revision else { throw SnapshotRecord.damaged }
                if events.count >= Self.batchEvents || bytes >= Self.batchBytes, event.main > events.last!.main {
                    result.revision = events.last!.main
                    try commit(writer, events, revision: result.revision)
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
                guard revision >= events.last?.main ?? 1, compacted <= revision else { throw SnapshotRecord.damaged }
                (result.revision, result.compacted, result.leases) = (revision, compacted, leases.count)
                try commit(
                    writer,
                    events,
                    revision: revision,
                    compacted: compacted,
                    leases: leases,
                    system: system.isEmpty ? nil : system
                )
                return result
            }
        }
    }

    private func commit(
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
    }
}
