import Drover

#if canImport(Glibc)
    import Glibc
#elseif canImport(Musl)
    import Musl
#elseif canImport(Darwin)
    import Darwin
#endif

/// The connection for what goes on beside batches.
final class MySQLLink: DriverLink {
    private let driver: MySQLDriver
    private var view: MySQLView
    private var connection: MySQLConnection { view.connection }
    private var beats = 0

    init(_ driver: MySQLDriver) throws {
        self.driver = driver
        view = try Self.connect(driver)
    }

    /// Of few rows, whose locks are waited for for two seconds.
    private static func connect(_ driver: MySQLDriver) throws -> MySQLView {
        let view = MySQLView(driver, try driver.connect(isolation: MySQLDriver.writing, answerSeconds: 10))
        try view.checkWitness()
        return view
    }

    func reconnect() throws {
        // What others are connected to may be the server that has hung, or gone: they need not find out for themselves.
        driver.availability.makeTurn()
        view = try Self.connect(driver)
    }

    /// These engines notify nobody.
    func wait(nanoseconds: Int64) throws -> Bool {
        if nanoseconds > 0 { usleep(UInt32(clamping: nanoseconds / 1_000)) }
        return false
    }

    func poll() throws -> StoreMeta {
        let floor = try driver.history.floor()
        let meta = try view.meta(connection.query(MySQLView.selectMeta)[0])
        try view.check(meta, since: floor)
        return meta
    }

    func heartbeat(_ own: InstanceRecord) throws -> [InstanceRecord] {
        var text = SQLText()
        text.append("INSERT INTO drover_instance VALUES (")
        text.append(Int64(bitPattern: own.id))
        text.comma()
        text.append(Bytes(own.name.utf8))
        text.comma()
        text.append(Bytes(own.clientURLs.joined(separator: "\n").utf8))
        text.append(", 0, ")
        text.append(own.position)
        text.append(
            text:
                ", \(MySQLView.clock)) ON DUPLICATE KEY UPDATE name = VALUES(name), urls = VALUES(urls), position = VALUES(position), heartbeat = VALUES(heartbeat)"
        )
        text.end()
        try connection.land(text)
        // Those that have long been gone are forgotten now and then.
        beats += 1
        if beats % 60 == 0 {
            try connection.query(
                "DELETE FROM drover_instance WHERE heartbeat < \(MySQLView.clock) - \(MySQLDriver.memory)"
            )
        }
        return try MySQLDriver.instances(connection)
    }

    func renew(_ leases: [Int64]) throws -> [Int64: Int64] {
        var text = SQLText()
        let ids = leases.sorted()
        // Galera may roll back between two statements: what comes after must not be committed by itself, and the rows are
        // looked at once more after they were written.
        text.add("SET SESSION autocommit = 0")
        text.add("START TRANSACTION")
        text.append("SELECT id, deadline FROM drover_lease WHERE id IN ")
        text.append(list: ids)
        text.append(" ORDER BY id FOR UPDATE")
        text.end()
        text.append(text: "UPDATE drover_lease SET deadline = \(MySQLView.clock) + 1000000 * ttl WHERE id IN ")
        text.append(list: ids)
        text.end()
        text.append("SELECT id, deadline, ttl FROM drover_lease WHERE id IN ")
        text.append(list: ids)
        text.end()
        text.add("COMMIT")
        text.add("SET SESSION autocommit = 1")
        let results: [MySQLResult?]
        do {
            results = try connection.land(text)
        } catch {
            if !connection.isBroken { _ = try? connection.query("ROLLBACK; SET SESSION autocommit = 1") }
            throw error
        }
        let (before, found) = (results[2]!, results[4]!)
        var old: [Int64: Int64] = [:]
        while before.next() { old[before.integer(0)] = before.integer(1) }
        var renewed: [Int64: Int64] = [:]
        while found.next() {
            // A deadline that did not move is one whose update was rolled back.
            if found.integer(1) == old[found.integer(0)] {
                throw DriverFailure(.conflict, "renewals of leases were rolled back")
            }
            renewed[found.integer(0)] = found.integer(2)
        }
        return renewed
    }

    func expired(limit: Int) throws -> (leases: [Int64], now: Int64) {
        var text = SQLText()
        text.add(
            "SELECT id FROM drover_lease WHERE deadline <= \(MySQLView.clock) ORDER BY deadline LIMIT \(limit)"
        )
        text.add("SELECT \(MySQLView.clock)")
        let results = try connection.land(text)
        var leases: [Int64] = []
        while results[0]!.next() { leases.append(results[0]!.integer(0)) }
        return (leases, results[1]!.next() ? results[1]!.integer(0) : 0)
    }

    func rearm(from id: Int64) throws -> Int64? {
        let found = try connection.query(
            "SELECT count(*), max(id) FROM (SELECT id FROM drover_lease WHERE id >= \(id) ORDER BY id LIMIT \(Self.rearmed)) l"
        )[0]!
        guard found.next(), found.integer(0) > 0 else { return nil }
        let (count, last) = (found.integer(0), found.integer(1))
        try connection.query(
            "UPDATE drover_lease SET deadline = \(MySQLView.clock) + 1000000 * ttl WHERE id BETWEEN \(id) AND \(last) ORDER BY id"
        )
        return count < Self.rearmed || last == .max ? nil : last + 1
    }

    /// Leases that get their full time in one statement.
    private static let rearmed: Int64 = 2_000

    func leaseCount() throws -> Int {
        let result = try connection.query("SELECT count(*) FROM drover_lease")[0]!
        return result.next() ? Int(result.integer(0)) : 0
    }

    func leave() {
        _ = try? connection.query("DELETE FROM drover_instance WHERE id = \(Int64(bitPattern: driver.instanceID))")
    }
}
