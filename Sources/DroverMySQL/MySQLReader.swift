import Drover

/// A connection for reading, made anew when it is lost.
final class MySQLReader: ServerReader {
    /// Within which a point read's answer begins, before the server is taken for gone.
    private static let pointSeconds: Int32 = 10

    private let driver: MySQLDriver
    let held: ReaderConnection<MySQLView>

    init(_ driver: MySQLDriver) throws {
        self.driver = driver
        held = try ReaderConnection(to: "MySQL", driver.availability) {
            let view = MySQLView(driver, try driver.connect(isolation: "REPEATABLE READ"))
            try view.checkWitness()
            return view
        }
    }

    func points(_ keys: [Bytes], longest: Int, _ body: (Int, RowView) throws -> Void) throws -> StoreMeta {
        try held.begin { view in
            let floor = try driver.history.floor()
            var text = SQLText()
            // One statement, and so one snapshot.
            text.append("SELECT c.k, c.main, c.sub, c.created, c.version, c.lease, c.length")
            MySQLView.appendValue(longest, "c.length", "l.v", &text)
            text.append(
                text:
                    ", \(MySQLView.metaColumns) FROM drover_meta m LEFT JOIN (drover_current c FORCE INDEX (PRIMARY) STRAIGHT_JOIN drover_log l FORCE INDEX (PRIMARY) ON l.main = c.main AND l.sub = c.sub) ON c.k IN "
            )
            text.append(list: keys)
            text.append(" WHERE m.id = 1")
            text.end()
            let result = try view.connection.land(text, within: Self.pointSeconds)[0]!
            var places: [Bytes: [Int]] = [:]
            for (place, key) in keys.enumerated() { places[key, default: []].append(place) }
            var meta: StoreMeta?
            let rows = MySQLRows(result, values: true)
            while let row = rows.next() {
                if meta == nil {
                    let seen = try view.meta(result, from: 8)
                    try view.check(seen, since: floor)
                    meta = seen
                }
                // Where none of the keys exists, `meta` comes alone.
                if row.key.baseAddress == nil { continue }
                for place in places[Bytes(row.key)] ?? [] { try body(place, row) }
            }
            guard let meta else {
                throw DriverFailure(.corrupt, "drover_meta has lost its row; restore the database from a backup")
            }
            return meta
        }
    }

    func leases() throws -> [(id: Int64, state: LeaseState)] {
        try held.begin { view in
            let sql = "SELECT id, ttl, deadline, \(MySQLView.clock) FROM drover_lease ORDER BY deadline, id"
            return MySQLView.leases(try view.connection.query(sql)[0]!)
        }
    }

    func instances() throws -> [InstanceRecord] {
        try held.begin { try MySQLDriver.instances($0.connection) }
    }

    func size() throws -> (total: Int64, inUse: Int64) {
        try held.begin { view in
            let result = try view.connection.query(
                """
                SELECT coalesce(sum(data_length + index_length + data_free), 0), coalesce(sum(data_length + index_length), 0)
                FROM information_schema.tables WHERE table_schema = database() AND table_name LIKE 'drover\\_%'
                """
            )[0]!
            return result.next() ? (result.integer(0), result.integer(1)) : (0, 0)
        }
    }

    /// On a connection of its own: it may take long.
    func defragment() throws {
        let connection = try driver.connect(isolation: MySQLDriver.writing, answerSeconds: 3_600)
        // When a table has been copied, reads that began before are waited for, and others wait behind it.
        try connection.query("SET SESSION lock_wait_timeout = 4")
        for table in ["drover_log", "drover_current", "drover_tombstone", "drover_lease", "drover_lease_key"] {
            // It says what went wrong in its rows: table, operation, kind of message, message.
            guard let told = try connection.query("OPTIMIZE TABLE \(table)")[0] else { continue }
            while told.next() {
                if told.text(2).lowercased() != "error" { continue }
                throw DriverFailure(.unavailable, "the table could not be made anew: \(told.text(3))")
            }
        }
    }
}
