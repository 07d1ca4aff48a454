import Drover

/// The connection for what goes on beside batches.
final class PostgreSQLLink: DriverLink {
    private let driver: PostgreSQLDriver
    private var view: PostgreSQLView
    private var beats = 0

    init(_ driver: PostgreSQLDriver) throws {
        self.driver = driver
        view = try Self.connect(driver)
    }

    private static func connect(_ driver: PostgreSQLDriver) throws -> PostgreSQLView {
        let connection = try driver.connect()
        try driver.checkPrimary(connection)
        // Where the engine knows no notifications, looking often enough does.
        _ = try? connection.query("LISTEN drover")
        let view = PostgreSQLView(driver, connection)
        try view.checkWitness()
        return view
    }

    func reconnect() throws {
        // What others are connected to may be the server that has hung, or gone: they need not find out for themselves.
        driver.availability.makeTurn()
        view = try Self.connect(driver)
    }

    func wait(nanoseconds: Int64) throws -> Bool {
        try view.connection.waitForNotification(milliseconds: Int32(clamping: (nanoseconds + 999_999) / 1_000_000))
    }

    func poll() throws -> StoreMeta {
        let floor = try driver.history.floor()
        try view.connection.send(PGStatements.meta)
        let meta = try view.meta(view.connection.land()[0])
        try view.check(meta, since: floor)
        return meta
    }

    func heartbeat(_ own: InstanceRecord) throws -> [InstanceRecord] {
        var parameters = PGParameters()
        parameters.add(Int64(bitPattern: own.id))
        parameters.add(own.name)
        parameters.add(own.clientURLs.joined(separator: "\n"))
        parameters.add(own.position)
        try view.connection.send(PGStatements.heartbeat, parameters)
        // Those that have long been gone are forgotten now and then.
        beats += 1
        if beats % 60 == 0 {
            var old = PGParameters()
            old.add(PostgreSQLDriver.memory)
            try view.connection.send(PGStatements.forgetInstances, old)
        }
        try view.connection.land()
        return try PostgreSQLDriver.instances(view.connection)
    }

    func renew(_ leases: [Int64]) throws -> [Int64: Int64] {
        var parameters = PGParameters()
        parameters.add(leases)
        try view.connection.send(PGStatements.renew, parameters)
        let result = try view.connection.land()[0]
        var renewed: [Int64: Int64] = [:]
        for row in 0..<result.rows { renewed[result.integer(row, 0)] = result.integer(row, 1) }
        return renewed
    }

    func expired(limit: Int) throws -> (leases: [Int64], now: Int64) {
        var parameters = PGParameters()
        parameters.add(Int64(limit))
        try view.connection.send(PGStatements.expired, parameters)
        try view.connection.send(PGStatements.now)
        let results = try view.connection.land()
        return ((0..<results[0].rows).map { results[0].integer($0, 0) }, results[1].integer(0, 0))
    }

    func rearm(from id: Int64) throws -> Int64? {
        var parameters = PGParameters()
        parameters.add(id)
        parameters.add(Int64(Self.rearmed))
        try view.connection.send(PGStatements.rearm, parameters)
        let result = try view.connection.land()[0]
        let last = (0..<result.rows).reduce(Int64.min) { max($0, result.integer($1, 0)) }
        return result.rows < Self.rearmed || last == .max ? nil : last + 1
    }

    /// Leases that get their full time in one statement.
    private static let rearmed = 2_000

    func leaseCount() throws -> Int {
        try view.connection.send(PGStatements.leaseCount)
        return Int(try view.connection.land()[0].integer(0, 0))
    }

    func leave() {
        var parameters = PGParameters()
        parameters.add(Int64(bitPattern: driver.instanceID))
        try? view.connection.send(PGStatements.leaveInstance, parameters)
        _ = try? view.connection.land()
    }
}
