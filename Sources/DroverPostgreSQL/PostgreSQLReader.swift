import Drover

#if canImport(Glibc)
    import Glibc
#elseif canImport(Musl)
    import Musl
#elseif canImport(Darwin)
    import Darwin
#endif

/// A connection for reading, made anew when it is lost.
final class PostgreSQLReader: ServerReader {
    private let driver: PostgreSQLDriver
    let held: ReaderConnection<PostgreSQLView>

    init(_ driver: PostgreSQLDriver) throws {
        self.driver = driver
        held = try ReaderConnection(to: "PostgreSQL", driver.availability) {
            let connection = try driver.connect()
            try driver.checkPrimary(connection)
            try connection.prepare(PGStatements.ofReader)
            try connection.widenInput()
            connection.answerMilliseconds = PGConnection.longAnswerMilliseconds
            let view = PostgreSQLView(driver, connection)
            try view.checkWitness()
            return view
        }
    }

    func points(_ keys: [Bytes], longest: Int, _ body: (Int, RowView) throws -> Void) throws -> StoreMeta {
        try held.begin { view in
            let floor = try driver.history.floor()
            view.connection.answerMilliseconds = PGConnection.shortAnswerMilliseconds
            defer { view.connection.answerMilliseconds = PGConnection.longAnswerMilliseconds }
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
        try held.begin { view in
            try view.connection.send(PGStatements.leases)
            return PostgreSQLView.leases(try view.connection.land()[0])
        }
    }

    func instances() throws -> [InstanceRecord] {
        try held.begin { try PostgreSQLDriver.instances($0.connection) }
    }

    func size() throws -> (total: Int64, inUse: Int64) {
        try held.begin { view in
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
            try vacuum(table, connection)
        }
    }

    /// What the cleaner has is waited for, for as long as it is likely to take.
    private func vacuum(_ table: String, _ connection: PGConnection) throws {
        let deadline = MonotonicClock.nanoseconds() + 60_000_000_000
        while true {
            do {
                _ = try connection.query("VACUUM \(table)")
                return
            } catch let failure as DriverFailure where failure.engineCode == PGFailure.code("55P03") {
                guard driver.cleaner.isRunning, MonotonicClock.nanoseconds() < deadline else { throw failure }
                usleep(200_000)
            }
        }
    }
}
