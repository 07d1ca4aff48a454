import Drover
import Logging

/// The connection that writes, made anew when it is lost.
///
/// A batch is two flights: lock and fetch; fence, rows and COMMIT.
final class PostgreSQLWriter: DriverWriter, ForwardingView {
    private let driver: PostgreSQLDriver
    private var view: PostgreSQLView?
    private var inBatch = false
    /// Waits for the lock in a row that have come to their end, each two seconds long.
    private var lockWaits = 0
    /// Whether other instances live, which are told of commits.
    private var hasCompany = false
    private var sweepCursor = SweepCursor()
    private var sweepGrace = SweepGrace()

    init(_ driver: PostgreSQLDriver, _ connection: PGConnection) throws {
        self.driver = driver
        try adopt(connection)
    }

    private func adopt(_ connection: PGConnection) throws {
        try driver.checkPrimary(connection)
        try connection.prepare(PGStatements.ofWriter)
        let adopted = PostgreSQLView(driver, connection)
        try adopted.checkWitness()
        try checkGeneration(adopted)
        // Each time: it may be another server than before.
        driver.warnOfDurability(connection)
        // A batch may read many rows before it writes.
        connection.answerMilliseconds = PGConnection.longAnswerMilliseconds
        view = adopted
    }

    private func current() throws -> PostgreSQLView {
        if let view, view.connection.isUsable(driver.availability) { return view }
        view = nil
        inBatch = false
        try adopt(driver.connect())
        return view!
    }

    private func inside() throws -> PostgreSQLView {
        guard inBatch, let view, !view.connection.isBroken else {
            throw DriverFailure(.unavailable, "the connection to PostgreSQL was lost during a batch", isUnreached: true)
        }
        return view
    }

    /// Records a new generation of the server's history, or checks that we have not seen more than it began with.
    private func checkGeneration(_ view: PostgreSQLView) throws {
        let connection = view.connection
        // The timeline of what is written now; a new one begins where a standby was promoted.
        let identity: [PGResult]
        do {
            identity = try connection.query(
                "SELECT system_identifier::text || '/' || substr(pg_walfile_name(pg_current_wal_lsn()), 1, 8) FROM pg_control_system()"
            )
        } catch {
            // Engines that only speak PostgreSQL's protocol do not know it.
            if connection.isBroken { throw error }
            return
        }
        let generation = identity[0].text(0, 0)
        let floor = try driver.history.floor()
        try connection.send(PGStatements.begin)
        try connection.send(PGStatements.lockMeta)
        let result = try connection.land()[1]
        let meta = try view.meta(result)
        do {
            try view.check(meta, since: floor)
            if result.text(0, 8) == generation {
                try connection.send(PGStatements.rollback)
                try connection.land()
                return
            }
            driver.rows.removeAll()
            driver.logger.notice(
                "a new generation of the database's history begins",
                metadata: [
                    "generation": "\(generation)", "before": "\(result.text(0, 8))", "revision": "\(meta.revision)",
                ]
            )
            var parameters = PGParameters()
            parameters.add(generation)
            try connection.send(PGStatements.recordGeneration, parameters)
            try connection.send(PGStatements.commit)
            try connection.land()
        } catch {
            if !connection.isBroken {
                try? connection.send(PGStatements.rollback)
                _ = try? connection.land()
            }
            throw error
        }
    }

    // MARK: - A batch

    func begin(_ prefetch: BatchPrefetch) throws -> BatchBase {
        let view = try current()
        let floor = try driver.history.floor()
        let connection = view.connection
        // The second wait has taken as long as a session that stands still may live.
        if lockWaits >= 2 { _ = try? connection.query(PGStatements.endStuckWriters) }
        inBatch = true
        connection.dividesFlights = true
        connection.answerMilliseconds = PGConnection.shortAnswerMilliseconds
        defer { connection.answerMilliseconds = PGConnection.longAnswerMilliseconds }
        try connection.send(PGStatements.begin)
        // Two statements in this order: as one, the rows could be older than the counter.
        try connection.send(PGStatements.lockMeta)
        if !prefetch.keys.isEmpty {
            var parameters = PGParameters()
            parameters.add(prefetch.keys)
            try connection.send(PGStatements.states, parameters)
        }
        for (leases, statement) in [
            (prefetch.leases, PGStatements.leasesByID), (prefetch.expiring, PGStatements.leasesLocked),
        ] where !leases.isEmpty {
            var parameters = PGParameters()
            parameters.add(leases)
            try connection.send(statement, parameters)
        }
        var results: ArraySlice<PGResult>
        do {
            results = try connection.land()[...]
            lockWaits = 0
        } catch let failure as DriverFailure where failure.engineCode == PGFailure.code("55P03") {
            lockWaits += 1
            throw failure
        }
        results.removeFirst()
        let meta = try view.meta(results.removeFirst())
        try view.check(meta, since: floor)
        var base = BatchBase(meta: meta, states: [])
        if !prefetch.keys.isEmpty { base.states = view.states(results.removeFirst(), count: prefetch.keys.count) }
        if !prefetch.leases.isEmpty {
            for (id, state) in PostgreSQLView.leases(results.removeFirst()) { base.leases[id] = state }
        }
        if !prefetch.expiring.isEmpty {
            for (id, state) in PostgreSQLView.leases(results.removeFirst()) { base.expiring[id] = state }
        }
        return base
    }

    func commit(_ changes: ChangeSet) throws {
        let view = try inside()
        let connection = view.connection
        var parameters = PGParameters()
        parameters.add(changes.base.batch)
        parameters.add(changes.revision)
        parameters.add(changes.compacted)
        try connection.send(PGStatements.fence, parameters)
        try sendEvents(changes.events, connection)
        try sendKeys(changes.keys, connection)
        try sendLeases(changes, connection)
        if let system = changes.system {
            var moved = PGParameters()
            moved.add(changes.base.systemRevision + 1)
            try connection.send(PGStatements.moveSystem, moved)
            var state = PGParameters()
            state.add(system)
            try connection.send(PGStatements.updateSystem, state)
        }
        var own = PGParameters()
        own.add(Int64(bitPattern: driver.instanceID))
        own.add(changes.base.batch + 1)
        try connection.send(PGStatements.recordBatch, own)
        if hasCompany { try connection.send(PGStatements.notify) }
        // Many rows may take long to write; a hung server is to be left before those who wait for it give up.
        connection.answerMilliseconds =
            2 * PGConnection.shortAnswerMilliseconds + Int32(clamping: changes.events.count)
        defer { connection.answerMilliseconds = PGConnection.longAnswerMilliseconds }
        let results: [PGResult]
        do {
            // From its first byte on the server may know of it.
            try connection.send(PGStatements.commit)
            results = try connection.land()
        } catch let failure as DriverFailure {
            // 40003: the server itself does not know.
            if connection.isBroken || failure.engineCode == PGFailure.code("40003") {
                throw DriverFailure(.unknownOutcome, failure.message, engineCode: failure.engineCode)
            }
            // The counter had moved: the fence set it to null.
            if failure.engineCode == PGFailure.code("23502") {
                throw DriverFailure(.conflict, "the batch counter moved", engineCode: failure.engineCode)
            }
            throw failure
        }
        inBatch = false
        guard results.last?.commandTag == "COMMIT" else {
            throw DriverFailure(.conflict, "PostgreSQL answered COMMIT with \(results.last?.commandTag ?? "nothing")")
        }
        if connection.hasWarning {
            // Such as a wait for a synchronous standby that was cancelled.
            throw DriverFailure(.unknownOutcome, "PostgreSQL warned at COMMIT")
        }
        driver.history.didCommit(changes)
        driver.cleaner.didDelete(changes.keys.count { !$0.after.isLive }, driver)
    }

    func rollback() {
        guard inBatch, let view else { return }
        inBatch = false
        if view.connection.isBroken {
            // It holds the lock until it is closed.
            self.view = nil
            return
        }
        do {
            try view.connection.send(PGStatements.rollback)
            try view.connection.leave()
        } catch {
            self.view = nil
        }
    }

    func settle(batch: Int64) throws -> Bool {
        inBatch = false
        view = nil
        driver.rows.removeAll()
        let settled = try driver.connect()
        // What was seen while it was connected may be on another server: then it is tried again.
        let floor = try driver.history.floor()
        let view = PostgreSQLView(driver, settled)
        try view.checkWitness()
        var own = PGParameters()
        own.add(Int64(bitPattern: driver.instanceID))
        // The lock waits for the old session's end; moving the counter makes sure that it has one.
        try settled.send(PGStatements.begin)
        try settled.send(PGStatements.lockMeta)
        try settled.send(PGStatements.ownBatch, own)
        let found = try settled.land()
        // A server that has lost batches must not be moved to where it seems to have them.
        try view.check(view.meta(found[1]), since: floor)
        try settled.send(PGStatements.moveBatch)
        try settled.send(PGStatements.commit)
        guard try settled.land().last?.commandTag == "COMMIT", !settled.hasWarning else {
            throw DriverFailure(.unavailable, "PostgreSQL could not commit durably")
        }
        // The answer stands whether or not this connection can be kept.
        try? adopt(settled)
        return found[2].rows == 1 && found[2].integer(0, 0) >= batch
    }

    // MARK: - The sweep

    func sweep(rows: Int, position: Int64) throws -> SweepStep {
        let view = try current()
        let connection = view.connection
        try connection.send(PGStatements.meta)
        let meta = try view.meta(connection.land()[0])
        if meta.swept >= meta.compacted {
            sweepCursor.end()
            sweepGrace.end()
            return .finished
        }
        if meta.purged < meta.compacted {
            let own = driver.instanceID
            let others = try PostgreSQLDriver.instances(connection).filter { $0.id != own }
            if sweepGrace.isNeeded(before: meta.compacted, position: position, others: others) { return .waiting }
            var parameters = PGParameters()
            parameters.add(meta.compacted)
            try connection.send(PGStatements.markPurged, parameters)
            try connection.land()
        }
        let first = sweepCursor.next(meta)
        var parameters = PGParameters()
        parameters.add(first.main)
        parameters.add(first.sub)
        parameters.add(meta.compacted)
        parameters.add(Int64(rows))
        try connection.send(PGStatements.sweepRows, parameters)
        let result = try connection.land()[0]
        try remove(result, SweepRule(meta), connection)
        if result.rows < rows {
            try markSwept(meta.compacted, connection)
            sweepCursor.end()
            return .finished
        }
        let last = LogPosition(main: result.integer(rows - 1, 0), sub: result.integer(rows - 1, 1))
        if let revision = sweepCursor.advance(to: last) { try markSwept(revision, connection) }
        return .more
    }

    private func markSwept(_ revision: Int64, _ connection: PGConnection) throws {
        var parameters = PGParameters()
        parameters.add(revision)
        try connection.send(PGStatements.markSwept, parameters)
        try connection.land()
    }

    private func remove(_ result: PGResult, _ rule: SweepRule, _ connection: PGConnection) throws {
        var positions: [LogPosition] = []
        var tombstones: (keys: [Bytes], mains: [Int64], subs: [Int64]) = ([], [], [])
        for row in 0..<result.rows {
            let position = LogPosition(main: result.integer(row, 0), sub: result.integer(row, 1))
            let previous = LogPosition(main: result.integer(row, 2), sub: result.integer(row, 3))
            if previous.main != 0 && rule.takesPrevious(of: position.main) { positions.append(previous) }
            if rule.takesDeletion(main: position.main, version: result.integer(row, 4)) {
                positions.append(position)
                tombstones.keys.append(Bytes(result.bytes(row, 5)))
                tombstones.mains.append(position.main)
                tombstones.subs.append(position.sub)
            }
        }
        if positions.isEmpty { return }
        try connection.send(PGStatements.begin)
        for group in LogPosition.grouped(positions) {
            var parameters = PGParameters()
            switch group {
            case .sub(let sub, let mains):
                parameters.add(mains)
                parameters.add(sub)
                try connection.send(PGStatements.deleteLogBySub, parameters)
            case .main(let main, let subs):
                parameters.add(main)
                parameters.add(subs)
                try connection.send(PGStatements.deleteLogByMain, parameters)
            }
        }
        if !tombstones.keys.isEmpty {
            var parameters = PGParameters()
            parameters.add(tombstones.keys)
            parameters.add(tombstones.mains)
            parameters.add(tombstones.subs)
            try connection.send(PGStatements.sweepTombstones, parameters)
        }
        try connection.send(PGStatements.commit)
        inBatch = true
        try connection.land()
        inBatch = false
        driver.cleaner.didDelete(tombstones.keys.count, driver)
    }

    // MARK: - Upkeep

    private var companyKnownAt: Int64 = 0

    func upkeep(idle: Bool) {
        // Notifying costs every commit a lock, so it is done only while somebody listens.
        guard let view, !view.connection.isBroken else { return }
        let now = MonotonicClock.nanoseconds()
        if now - companyKnownAt < 2_000_000_000 { return }
        companyKnownAt = now
        if let living = try? PostgreSQLDriver.instances(view.connection) {
            hasCompany = living.contains { $0.id != driver.instanceID }
        }
    }

    func close() {
        rollback()
        view = nil
    }

    // MARK: - Reading within the batch

    func readingView() throws -> any DriverView { try inside() }

    /// Also outside a batch.
    func log(from main: Int64, values: Bool, _ body: (RowView) throws -> Bool) throws {
        try current().log(from: main, values: values, body)
    }
}
