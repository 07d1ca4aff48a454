import Drover
import Logging

/// The connection that writes, made anew when it is lost.
///
/// A batch is two flights: lock and fetch; fence, rows and COMMIT.
final class MySQLWriter: DriverWriter, ForwardingView {
    private let driver: MySQLDriver
    private var view: MySQLView?
    private var inBatch = false
    private var sweepCursor = SweepCursor()
    private var sweepGrace = SweepGrace()

    init(_ driver: MySQLDriver, _ connection: MySQLConnection) throws {
        self.driver = driver
        try adopt(connection)
    }

    /// How long a statement of a batch may take.
    static let answerSeconds: UInt32 = 30

    private func adopt(_ connection: MySQLConnection) throws {
        let adopted = MySQLView(driver, connection)
        try adopted.checkWitness()
        try checkGeneration(adopted)
        // Each time: it may be another server than before.
        driver.warnOfDurability(connection)
        view = adopted
    }

    private func current() throws -> MySQLView {
        if let view, view.connection.isUsable(driver.availability) { return view }
        view = nil
        inBatch = false
        try adopt(driver.connect(isolation: MySQLDriver.writing, answerSeconds: Self.answerSeconds))
        return view!
    }

    private func inside() throws -> MySQLView {
        guard inBatch, let view, !view.connection.isBroken else {
            throw DriverFailure(.unavailable, "the connection to MySQL was lost during a batch", isUnreached: true)
        }
        return view
    }

    /// Ends what ``begin(_:)`` has set.
    static let endOfBatch = "SET SESSION autocommit = 1, wait_timeout = DEFAULT"

    private static let lockMeta =
        "SELECT \(MySQLView.metaColumns), generation FROM drover_meta WHERE id = 1 FOR UPDATE"

    /// Which history the server is at: a Galera cluster's or a replication group's, or one server's own; nil when it
    /// cannot be known.
    private static func generation(_ connection: MySQLConnection) throws -> String? {
        func variable(_ sql: String, column: Int) throws -> String? {
            do {
                guard let result = try connection.query(sql)[0], result.next() else { return nil }
                return result.text(column)
            } catch let failure as DriverFailure where failure.engineCode == 1_193 {
                // This engine has no such variable.
                return nil
            }
        }
        if try variable("SHOW GLOBAL VARIABLES LIKE 'wsrep_on'", column: 1) == "ON" {
            let cluster = try variable("SHOW GLOBAL STATUS LIKE 'wsrep_cluster_state_uuid'", column: 1) ?? ""
            // A node that is cut off or still joining does not know yet: it is no use until it does.
            guard try variable("SHOW GLOBAL STATUS LIKE 'wsrep_ready'", column: 1) == "ON",
                !cluster.allSatisfy({ "0-".contains($0) })
            else {
                throw DriverFailure(.unavailable, "this Galera node is not part of its cluster now", engineCode: 1_047)
            }
            return "galera/\(cluster)"
        }
        if let group = try variable("SELECT @@group_replication_group_name", column: 0), !group.isEmpty {
            return "group/\(group)"
        }
        // MySQL's own, and MariaDB's from 10.11 on.
        for name in ["server_uuid", "server_uid"] {
            if let server = try variable("SELECT @@global.\(name)", column: 0), !server.isEmpty {
                return "server/\(server)"
            }
        }
        return nil
    }

    /// Records a new generation of the server's history, or checks that we have not seen more than it began with.
    private func checkGeneration(_ view: MySQLView) throws {
        let connection = view.connection
        guard let generation = try Self.generation(connection) else { return }
        let floor = try driver.history.floor()
        var text = SQLText()
        text.add("START TRANSACTION")
        text.add(Self.lockMeta)
        let result = try connection.land(text)[1]
        let meta = try view.meta(result)
        do {
            try view.check(meta, since: floor)
            if result!.text(9) == generation {
                try connection.query("ROLLBACK")
                return
            }
            driver.rows.removeAll()
            driver.logger.notice(
                "a new generation of the database's history begins",
                metadata: [
                    "generation": "\(generation)", "before": "\(result!.text(9))", "revision": "\(meta.revision)",
                ]
            )
            var record = SQLText()
            record.append("UPDATE drover_meta SET generation = ")
            record.append(Bytes(generation.utf8))
            record.append(", generation_start = revision, batch = batch + 1 WHERE id = 1")
            record.end()
            record.add("COMMIT")
            try connection.land(record)
        } catch {
            if !connection.isBroken { _ = try? connection.query("ROLLBACK") }
            throw error
        }
    }

    // MARK: - A batch

    func begin(_ prefetch: BatchPrefetch) throws -> BatchBase {
        let view = try current()
        let floor = try driver.history.floor()
        inBatch = true
        var text = SQLText(capacity: 512 + prefetch.keys.count * 128)
        // Galera may roll a transaction back between two of its statements. What comes after would then be committed by
        // itself, each statement for its own; like this it is not, and the second fence finds it.
        // MySQL has no limit on idle transactions, but one on idle sessions.
        text.add("SET SESSION autocommit = 0, wait_timeout = 4")
        text.add("START TRANSACTION")
        // Two statements in this order: as one, the rows could be older than the counter.
        text.add(Self.lockMeta)
        if !prefetch.keys.isEmpty { view.appendStates(of: prefetch.keys, &text) }
        if !prefetch.leases.isEmpty {
            text.append(text: "SELECT id, ttl, deadline, \(MySQLView.clock) FROM drover_lease WHERE id IN ")
            text.append(list: prefetch.leases)
            text.end()
        }
        if !prefetch.expiring.isEmpty {
            // A renewal that is just being written has the lease locked: it is left out, and so not expired.
            text.append(text: "SELECT id, ttl, deadline, \(MySQLView.clock) FROM drover_lease WHERE id IN ")
            text.append(list: prefetch.expiring)
            text.append(text: " ORDER BY id FOR UPDATE SKIP LOCKED")
            text.end()
        }
        var results = try view.connection.land(text).dropFirst(2)
        let meta = try view.meta(results.removeFirst())
        try view.check(meta, since: floor)
        var base = BatchBase(meta: meta, states: [])
        if !prefetch.keys.isEmpty {
            let live = results.removeFirst()!
            base.states = view.states(prefetch.keys, live, results.removeFirst()!)
        }
        if !prefetch.leases.isEmpty {
            for (id, state) in MySQLView.leases(results.removeFirst()!) { base.leases[id] = state }
        }
        if !prefetch.expiring.isEmpty {
            for (id, state) in MySQLView.leases(results.removeFirst()!) { base.expiring[id] = state }
        }
        return base
    }

    func commit(_ changes: ChangeSet) throws {
        let connection = try inside().connection
        // Of the last query, of which COMMIT is the last but one.
        var statements = Int.max
        do {
            // What does not fit one query goes before it, in the same transaction.
            var flights = FlightSplitter(limit: min(4 << 20, connection.packetBytes - (64 << 10))) {
                try connection.land($0)
            }
            try BatchStatements(
                writer: Int64(bitPattern: driver.instanceID),
                stayActive: connection.stayActive
            ).append(changes, &flights)
            statements = flights.text.statements
            try connection.land(flights.text)
        } catch let failure as DriverFailure {
            // 1180: the commit itself failed, perhaps after it was done; so may whatever else COMMIT answers but that
            // another writer was in the way.
            let isCommit = connection.warnings.count >= statements - 2
            let isOpen = failure.engineCode == 1_180 || (isCommit && failure.kind != .conflict)
            if connection.isBroken || isOpen {
                throw DriverFailure(.unknownOutcome, failure.message, engineCode: failure.engineCode)
            }
            // The counter had moved: the fence set it to null.
            if failure.engineCode == 1_048 {
                throw DriverFailure(.conflict, "the batch counter moved", engineCode: failure.engineCode)
            }
            throw failure
        }
        inBatch = false
        // COMMIT is the last statement but one.
        if connection.warnings.dropLast().last == true {
            throw DriverFailure(.unknownOutcome, "MySQL warned at COMMIT")
        }
        driver.history.didCommit(changes)
    }

    func rollback() {
        guard inBatch, let view else { return }
        inBatch = false
        if view.connection.isBroken {
            // It holds the lock until it is closed.
            self.view = nil
            return
        }
        var text = SQLText()
        text.add("ROLLBACK")
        text.add(Self.endOfBatch)
        if (try? view.connection.land(text)) == nil { self.view = nil }
    }

    func settle(batch: Int64) throws -> Bool {
        inBatch = false
        view = nil
        driver.rows.removeAll()
        let settled = try driver.connect(isolation: MySQLDriver.writing, answerSeconds: 10)
        // What was seen while it was connected may be on another server: then it is tried again.
        let floor = try driver.history.floor()
        let view = MySQLView(driver, settled)
        try view.checkWitness()
        // The lock waits for the old session's end on this node; moving the counter makes it fail on any other.
        var lock = SQLText()
        lock.add("SET SESSION autocommit = 0, wait_timeout = 4")
        lock.add("START TRANSACTION")
        lock.add(Self.lockMeta)
        // A server that has lost batches must not be moved to where it seems to have them.
        try view.check(view.meta(settled.land(lock)[2]), since: floor)
        var text = SQLText()
        // Fenced as a batch is, by a token that nobody else has written.
        let token = Int64.random(in: Int64.min..<0)
        text.add("UPDATE drover_meta SET batch = batch + 1, writer = \(token) WHERE id = 1")
        text.add("SELECT batch FROM drover_instance WHERE id = \(Int64(bitPattern: driver.instanceID))")
        text.add("UPDATE drover_meta SET batch = CASE WHEN writer = \(token) THEN batch END WHERE id = 1")
        text.add("COMMIT")
        text.add("SET SESSION autocommit = 1")
        let own = try settled.land(text)[1]!
        if settled.warnings.dropLast().last == true {
            throw DriverFailure(.unavailable, "MySQL could not commit durably")
        }
        let isCommitted = own.next() && own.integer(0) >= batch
        // The next batch makes a connection of its own, with the time that a batch has.
        return isCommitted
    }

    // MARK: - The sweep

    func sweep(rows: Int, position: Int64) throws -> SweepStep {
        let view = try current()
        let connection = view.connection
        let meta = try view.meta(connection.query(MySQLView.selectMeta)[0])
        if meta.swept >= meta.compacted {
            sweepCursor.end()
            sweepGrace.end()
            return .finished
        }
        if meta.purged < meta.compacted {
            let own = driver.instanceID
            let others = try MySQLDriver.instances(connection).filter { $0.id != own }
            if sweepGrace.isNeeded(before: meta.compacted, position: position, others: others) { return .waiting }
            try connection.query("UPDATE drover_meta SET purged = greatest(purged, \(meta.compacted)) WHERE id = 1")
        }
        var text = SQLText()
        text.append(
            "SELECT main, sub, previous_main, previous_sub, version, CASE WHEN version = 0 THEN k ELSE '' END FROM drover_log FORCE INDEX (PRIMARY) WHERE "
        )
        MySQLView.appendAfter(sweepCursor.next(meta), &text)
        text.append(" AND main <= ")
        text.append(meta.compacted)
        text.append(" ORDER BY main, sub LIMIT ")
        text.append(Int64(rows))
        text.end()
        let result = try connection.land(text)[0]!
        let last = try remove(result, SweepRule(meta), connection)
        if result.rows < rows {
            try markSwept(meta.compacted, connection)
            sweepCursor.end()
            return .finished
        }
        if let last, let revision = sweepCursor.advance(to: last) { try markSwept(revision, connection) }
        return .more
    }

    private func markSwept(_ revision: Int64, _ connection: MySQLConnection) throws {
        try connection.query("UPDATE drover_meta SET swept = greatest(swept, \(revision)) WHERE id = 1")
    }

    private func remove(_ result: MySQLResult, _ rule: SweepRule, _ connection: MySQLConnection) throws -> LogPosition?
    {
        var positions: [LogPosition] = []
        var text = SQLText()
        text.add("START TRANSACTION")
        var last: LogPosition?
        while result.next() {
            let position = LogPosition(main: result.integer(0), sub: result.integer(1))
            last = position
            let previous = LogPosition(main: result.integer(2), sub: result.integer(3))
            if previous.main != 0 && rule.takesPrevious(of: position.main) { positions.append(previous) }
            if rule.takesDeletion(main: position.main, version: result.integer(4)) {
                positions.append(position)
                // By key and place: the key may have been created and deleted again.
                text.append("DELETE FROM drover_tombstone WHERE k = ")
                text.append(Bytes(result.bytes(5)))
                text.append(" AND main = ")
                text.append(position.main)
                text.append(" AND sub = ")
                text.append(position.sub)
                text.end()
            }
        }
        if positions.isEmpty { return last }
        MySQLView.grouped(positions) { condition in
            text.append("DELETE FROM drover_log WHERE ")
            condition(&text)
            text.end()
        }
        text.add("COMMIT")
        inBatch = true
        try connection.land(text)
        inBatch = false
        return last
    }

    // MARK: - Upkeep

    func upkeep(idle: Bool) {}

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
