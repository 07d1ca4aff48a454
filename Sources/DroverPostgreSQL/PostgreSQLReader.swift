import Drover

/// A connection for reading, made anew when it is lost.
final class PostgreSQLReader: DriverReader, ForwardingView {
    private let driver: PostgreSQLDriver
    private var view: PostgreSQLView?
    private var inSnapshot = false

    init(_ driver: PostgreSQLDriver) throws {
        self.driver = driver
        view = try connect()
    }

    private func connect() throws -> PostgreSQLView {
        let connection = try driver.connect()
        try connection.prepare(PGStatements.ofReader)
        try connection.widenInput()
        return PostgreSQLView(driver, connection)
    }

    private func current() throws -> PostgreSQLView {
        if let view, !view.connection.isBroken { return view }
        view = nil
        inSnapshot = false
        let made = try connect()
        view = made
        return made
    }

    /// The connection of the present snapshot: a new one would show another state.
    private func inside() throws -> PostgreSQLView {
        guard let view, !view.connection.isBroken else {
            throw DriverFailure(.unavailable, "the connection to PostgreSQL was lost during a read")
        }
        return view
    }

    /// Runs what begins a read; a connection that turns out to be lost is made anew, since nothing has been read yet.
    private func beginning<R>(_ body: (PostgreSQLView) throws -> R) throws -> R {
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
            try view.connection.send(PGStatements.meta)
            let meta = try view.meta(view.connection.land()[0])
            try view.check(meta, since: floor)
            return meta
        }
    }

    func beginSnapshot() throws -> StoreMeta {
        try beginning { view in
            let floor = try driver.history.floor()
            try view.connection.send(PGStatements.beginSnapshot)
            try view.connection.send(PGStatements.meta)
            inSnapshot = true
            do {
                let meta = try view.meta(view.connection.land()[1])
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
        if view.connection.isBroken { return }
        // Sent at once, since an open snapshot keeps dead rows alive; the answer is read with the next flight's.
        do {
            try view.connection.send(PGStatements.commit)
            try view.connection.leave()
        } catch {
            self.view = nil
        }
    }

    func point(_ key: Bytes, values: Bool, longest: Int, _ body: (RowView) throws -> Void) throws -> StoreMeta {
        try points([key], longest: values ? longest : -1) { try body($1) }
    }

    func points(_ keys: [Bytes], longest: Int, _ body: (Int, RowView) throws -> Void) throws -> StoreMeta {
        try beginning { view in
            let floor = try driver.history.floor()
            var parameters = PGParameters()
            parameters.add(keys)
            parameters.add(Int64(longest))
            try view.connection.send(PGStatements.points, parameters)
            let result = try view.connection.land()[0]
            let meta = try view.meta(result)
            try view.check(meta, since: floor)
            for row in 0..<result.rows where !result.isNull(row, 8) {
                let place = Int(result.integer(row, 8)) - 1
                let value = result.bytes(row, 15)
                try keys[place].withUnsafeBytes { key in
                    try body(
                        place,
                        RowView(
                            key: key,
                            value: value,
                            valueLength: result.isNull(row, 14) ? value.count : Int(result.integer(row, 14)),
                            main: result.integer(row, 9),
                            sub: result.integer(row, 10),
                            createRevision: result.integer(row, 11),
                            version: result.integer(row, 12),
                            lease: result.integer(row, 13)
                        )
                    )
                }
            }
            return meta
        }
    }

    func leases() throws -> [(id: Int64, state: LeaseState)] {
        try beginning { view in
            try view.connection.send(PGStatements.leases)
            return PostgreSQLView.leases(try view.connection.land()[0])
        }
    }

    func instances() throws -> [InstanceRecord] {
        try beginning { try PostgreSQLDriver.instances($0.connection) }
    }

    func size() throws -> (total: Int64, inUse: Int64) {
        try beginning { view in
            try view.connection.send(PGStatements.size)
            let result = try view.connection.land()[0]
            return (result.integer(0, 0), result.integer(0, 1))
        }
    }

    /// On a connection of its own: it may take long.
    func defragment() throws {
        let connection = try driver.connect()
        connection.answerMilliseconds = 3_600_000
        for table in ["drover_log", "drover_current", "drover_tombstone", "drover_lease", "drover_meta"] {
            _ = try connection.query("VACUUM \(table)")
        }
    }

    func readingView() throws -> any DriverView { try inside() }
}
