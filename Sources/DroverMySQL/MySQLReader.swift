import Drover

/// A connection for reading, made anew when it is lost.
final class MySQLReader: DriverReader, ForwardingView {
    private let driver: MySQLDriver
    private var view: MySQLView?
    private var inSnapshot = false

    init(_ driver: MySQLDriver) throws {
        self.driver = driver
        view = try connect()
    }

    private func connect() throws -> MySQLView {
        MySQLView(driver, try driver.connect(isolation: "REPEATABLE READ"))
    }

    private func current() throws -> MySQLView {
        if let view, !view.connection.isBroken { return view }
        view = nil
        inSnapshot = false
        let made = try connect()
        view = made
        return made
    }

    /// The connection of the present snapshot: a new one would show another state.
    private func inside() throws -> MySQLView {
        guard let view, !view.connection.isBroken else {
            throw DriverFailure(.unavailable, "the connection to MySQL was lost during a read")
        }
        return view
    }

    /// Runs what begins a read; a connection that turns out to be lost is made anew, since nothing has been read yet.
    private func beginning<R>(_ body: (MySQLView) throws -> R) throws -> R {
        try driver.availability.run {
            let view = try current()
            do {
                return try body(view)
            } catch let failure as DriverFailure where view.connection.isBroken && failure.kind == .unavailable {
                return try body(current())
            }
        }
    }

    func readMeta() throws -> StoreMeta {
        try beginning { view in
            let floor = try driver.history.floor()
            let meta = try view.meta(view.connection.query(MySQLView.selectMeta)[0])
            try view.check(meta, since: floor)
            return meta
        }
    }

    func beginSnapshot() throws -> StoreMeta {
        try beginning { view in
            let floor = try driver.history.floor()
            var text = SQLText()
            text.add("START TRANSACTION WITH CONSISTENT SNAPSHOT, READ ONLY")
            text.add(MySQLView.selectMeta)
            inSnapshot = true
            do {
                let meta = try view.meta(view.connection.land(text)[1])
                try view.check(meta, since: floor)
                return meta
            } catch {
                endSnapshot()
                throw error
            }
        }
    }

    func endSnapshot() {
        guard inSnapshot, let view else { return }
        inSnapshot = false
        if !view.connection.isBroken { _ = try? view.connection.query("COMMIT") }
    }

    func point(_ key: Bytes, values: Bool, longest: Int, _ body: (RowView) throws -> Void) throws -> StoreMeta {
        try points([key], longest: values ? longest : -1) { try body($1) }
    }

    func points(_ keys: [Bytes], longest: Int, _ body: (Int, RowView) throws -> Void) throws -> StoreMeta {
        try beginning { view in
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
            let result = try view.connection.land(text)[0]!
            var places: [Bytes: [Int]] = [:]
            for (place, key) in keys.enumerated() { places[key, default: []].append(place) }
            var meta: StoreMeta?
            while result.next() {
                if meta == nil {
                    let seen = try view.meta(result, from: 8)
                    try view.check(seen, since: floor)
                    meta = seen
                }
                if result.isNull(0) { continue }
                let row = MySQLView.row(result, values: true)
                for place in places[Bytes(row.key)] ?? [] { try body(place, row) }
            }
            guard let meta else {
                throw DriverFailure(.corrupt, "drover_meta has lost its row; restore the database from a backup")
            }
            return meta
        }
    }

    func leases() throws -> [(id: Int64, state: LeaseState)] {
        try beginning { view in
            let sql = "SELECT id, ttl, deadline, \(MySQLView.clock) FROM drover_lease ORDER BY deadline, id"
            return MySQLView.leases(try view.connection.query(sql)[0]!)
        }
    }

    func instances() throws -> [InstanceRecord] {
        try beginning { try MySQLDriver.instances($0.connection) }
    }

    func size() throws -> (total: Int64, inUse: Int64) {
        try beginning { view in
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
        let connection = try driver.connect(isolation: "READ COMMITTED", answerSeconds: 3_600)
        for table in ["drover_log", "drover_current", "drover_tombstone", "drover_lease", "drover_lease_key"] {
            try connection.query("OPTIMIZE TABLE \(table)")
        }
    }

    func readingView() throws -> any DriverView { try inside() }
}
