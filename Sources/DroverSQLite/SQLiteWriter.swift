import CSQLite
import Drover
import Logging

#if canImport(Glibc)
    import Glibc
#elseif canImport(Musl)
    import Musl
#elseif canImport(Darwin)
    import Darwin
#endif

/// The one connection that writes and checkpoints.
final class SQLiteWriter: DriverWriter, ForwardingView {
    let driver: SQLiteDriver
    private let revisions: RevisionMap
    private(set) var open: Open?
    private var inBatch = false
    /// Where the sweep is inside a revision; not stored, since doing a revision again is harmless.
    private var sweepCursor: Int64 = 0
    private var sweepGrace = SweepGrace()
    /// The compaction mark up to which rows are being deleted.
    private var sweepBegan: Int64 = 0
    var reserve: WALReserve
    var checkpoints = Checkpoints()

    init(_ driver: SQLiteDriver) throws {
        self.driver = driver
        revisions = driver.revisions
        reserve = WALReserve(
            databasePath: driver.configuration.resolvedPath,
            bytes: driver.configuration.reservedWALBytes
        )
        try connect()
    }

    private func connect() throws {
        let opened = try Open(driver)
        revisions.load(try opened.wideRevisions())
        // A sweep may have begun before.
        driver.purged.max(try opened.view.readMeta().compacted, ordering: .sequentiallyConsistent)
        open = opened
    }

    private func current() throws -> Open {
        try driver.gate.check()
        if let open { return open }
        try connect()
        return open!
    }

    // MARK: - A batch

    func begin(_ prefetch: BatchPrefetch) throws -> BatchBase {
        let open = try current()
        try open.begin.run()
        inBatch = true
        let meta = try open.view.readMeta()
        var states: [KeyState?] = []
        states.reserveCapacity(prefetch.keys.count)
        for key in prefetch.keys { states.append(try open.view.state(of: key)) }
        return BatchBase(meta: meta, states: states)
    }

    func commit(_ changes: ChangeSet) throws {
        let open = try current()
        let wide = wideRevisions(in: changes.events)
        for row in wide { revisions.add(main: row.main, extra: row.extra) }
        var committing = false
        do {
            open.updateMeta.bind(1, changes.revision)
            open.updateMeta.bind(2, changes.compacted)
            open.updateMeta.bind(3, changes.base.batch)
            do {
                try open.updateMeta.run()
            } catch let failure as DriverFailure where failure.kind == .refused {
                throw DriverFailure(.conflict, "the batch counter moved", engineCode: failure.engineCode)
            }
            for row in wide {
                open.insertWide.bind(1, row.main)
                open.insertWide.bind(2, row.extra)
                try open.insertWide.run()
            }
            for event in changes.events { try insert(event, open) }
            for change in changes.keys { try apply(change, open) }
            for lease in changes.revokedLeases {
                open.deleteLease.bind(1, lease)
                try open.deleteLease.run()
            }
            for lease in changes.grantedLeases {
                open.insertLease.bind(1, lease.id)
                open.insertLease.bind(2, lease.grantedTTL)
                try open.insertLease.run()
            }
            if let system = changes.system {
                open.moveSystem.bind(1, changes.base.systemRevision + 1)
                try open.moveSystem.run()
                try system.withUnsafeBytes { state in
                    open.updateSystem.bind(1, lending: state)
                    try open.updateSystem.run()
                }
            }
            committing = true
            try open.commit.run()
            inBatch = false
        } catch let failure as DriverFailure {
            revisions.remove(above: changes.base.revision)
            // A failed write of the log leaves no commit record behind. Anything else that goes wrong at COMMIT may
            // have come after the record was written.
            let isOpen = failure.kind == .unavailable || failure.engineCode == Int(SQLiteConnection.syncError)
            if committing && isOpen && failure.engineCode != Int(SQLiteConnection.writeError) {
                throw DriverFailure(.unknownOutcome, failure.message, engineCode: failure.engineCode)
            }
            rollback()
            throw failure
        }
    }

    private func wideRevisions(in events: [ChangeSet.LogEvent]) -> [(main: Int64, extra: Int64)] {
        // A restored revision may have lost most of its events to a sweep: the places of the others stay.
        if !events.contains(where: { $0.sub >= 1 << RevisionMap.slotBits }) { return [] }
        var rows: [(Int64, Int64)] = []
        var start = 0
        for i in events.indices where i + 1 == events.count || events[i + 1].main != events[i].main {
            let extra = RevisionMap.extraSlots(events: max(i + 1 - start, Int(events[i].sub) + 1))
            if extra > 0 { rows.append((events[i].main, extra)) }
            start = i + 1
        }
        return rows
    }

    @inline(__always)
    private func insert(_ event: ChangeSet.LogEvent, _ open: Open) throws {
        let statement = open.insertLog
        statement.bind(1, revisions.id(event.main, event.sub))
        statement.bind(2, event.previousMain == 0 ? 0 : revisions.id(event.previousMain, event.previousSub))
        statement.bind(3, event.createRevision)
        statement.bind(4, event.version)
        statement.bind(5, event.lease)
        try event.key.withUnsafeBytes { key in
            try event.value.withUnsafeBytes { value in
                statement.bind(6, lending: key)
                statement.bind(7, lending: value)
                try statement.run()
            }
        }
    }

    private func apply(_ change: ChangeSet.KeyChange, _ open: Open) throws {
        let id = revisions.id(change.after.main, change.after.sub)
        try change.key.withUnsafeBytes { key in
            let wasLive = change.before?.isLive == true
            if change.after.isLive {
                if change.before != nil && !wasLive {
                    open.deleteTombstone.bind(1, lending: key)
                    try open.deleteTombstone.run()
                }
                let statement = wasLive ? open.updateCurrent : open.insertCurrent
                statement.bind(1, lending: key)
                statement.bind(2, id)
                statement.bind(3, change.after.createRevision)
                statement.bind(4, change.after.version)
                statement.bind(5, change.after.lease)
                statement.bind(6, Int64(change.after.valueLength))
                try statement.run()
            } else {
                if wasLive {
                    open.deleteCurrent.bind(1, lending: key)
                    try open.deleteCurrent.run()
                }
                open.insertTombstone.bind(1, lending: key)
                open.insertTombstone.bind(2, id)
                try open.insertTombstone.run()
            }
        }
    }

    func rollback() {
        guard inBatch else { return }
        inBatch = false
        // SQLite has rolled back by itself after some errors; then there is nothing to do.
        if let open, sqlite3_get_autocommit(open.connection.handle) == 0 { try? open.rollback.run() }
    }

    var endOfStore: DriverFailure? { driver.gate.isOver ? ReadGate.failure : nil }

    func settle(batch: Int64) throws -> Bool {
        inBatch = false
        // What the connection knows of its syncs goes with it.
        if let open { hasSynced(open) }
        open = nil
        defer { driver.rows.removeAll() }
        return try current().view.readMeta().batch >= batch
    }

    // MARK: - The sweep

    /// How long a step takes rows away before it commits.
    private static let sweepStepNanoseconds: Int64 = 12_000_000

    func sweep(rows: Int, position: Int64) throws -> SweepStep {
        let open = try current()
        try open.begin.run()
        inBatch = true
        let meta = try open.view.readMeta()
        if meta.swept >= meta.compacted {
            rollback()
            sweepGrace.end()
            return .finished
        }
        // Watches in step may still want what their events point back to.
        if sweepBegan < meta.compacted {
            if sweepGrace.isNeeded(before: meta.compacted, position: position, others: []) {
                rollback()
                return .waiting
            }
            // Deletions at the mark before were spared, also those that the sweep has passed.
            if sweepBegan > 0 { sweepCursor = min(sweepCursor, revisions.id(sweepBegan, 0)) }
            sweepBegan = meta.compacted
            driver.purged.max(meta.compacted, ordering: .sequentiallyConsistent)
        }
        // Deletions at exactly the last mark were spared then and go now.
        let first = max(sweepCursor, revisions.id(meta.swept, 0))
        let end = revisions.id(meta.compacted + 1, 0)
        var seen: [(id: Int64, previous: Int64, version: Int64, key: Bytes)] = []
        do {
            let select = open.sweepRows
            select.bind(1, first)
            select.bind(2, end)
            select.bind(3, Int64(rows))
            defer { select.reset() }
            while try select.step() {
                let version = select.integer(2)
                seen.append(
                    (select.integer(0), select.integer(1), version, version == 0 ? Bytes(select.bytes(3)) : [])
                )
            }
        }
        let rule = SweepRule(meta)
        let started = MonotonicClock.nanoseconds()
        var processed = 0
        for row in seen {
            let main = revisions.position(row.id).main
            if row.previous != 0 && rule.takesPrevious(of: main) {
                open.deleteLog.bind(1, row.previous)
                try open.deleteLog.run()
            }
            if rule.takesDeletion(main: main, version: row.version) {
                open.deleteLog.bind(1, row.id)
                try open.deleteLog.run()
                try row.key.withUnsafeBytes { key in
                    open.sweepTombstone.bind(1, lending: key)
                    open.sweepTombstone.bind(2, row.id)
                    try open.sweepTombstone.run()
                }
            }
            processed += 1
            // Values of many pages take long to free: writers wait for a step.
            if MonotonicClock.nanoseconds() - started > Self.sweepStepNanoseconds { break }
        }
        let finished = seen.count < rows && processed == seen.count
        if finished {
            open.updateSwept.bind(1, meta.compacted)
            try open.updateSwept.run()
        }
        try open.commit.run()
        inBatch = false
        sweepCursor = finished ? 0 : seen[processed - 1].id + 1
        return finished ? .finished : .more
    }

    func defragment() throws {
        let connection = try current().connection
        // The copy would be in memory otherwise, all of it.
        try connection.execute("PRAGMA temp_store = FILE")
        defer { try? connection.execute("PRAGMA temp_store = MEMORY") }
        try connection.execute("VACUUM")
        // The whole store is in the log now.
        if let open { checkpointWhole(open, SQLITE_CHECKPOINT_PASSIVE) }
    }

    func close() {
        guard let open else { return }
        rollback()
        checkpointWhole(open, SQLITE_CHECKPOINT_TRUNCATE)
        self.open = nil
    }

    // MARK: - Reading within the batch

    func readingView() throws -> any DriverView { try current().view }
}
