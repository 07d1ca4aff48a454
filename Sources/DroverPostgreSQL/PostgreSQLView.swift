import Drover

/// Reading on one connection: what the writer, the readers and the link share.
final class PostgreSQLView: ServerView {
    let driver: PostgreSQLDriver
    let connection: PGConnection
    var averageValueBytes = 512
    var history: HistoryGuard { driver.history }
    var cache: RowCache { driver.rows }

    init(_ driver: PostgreSQLDriver, _ connection: PGConnection) {
        self.driver = driver
        self.connection = connection
    }

    func stayActive() throws {
        if MonotonicClock.nanoseconds() - connection.lastLanding > 1_000_000_000 {
            _ = try connection.query("SELECT 1")
        }
    }

    // MARK: - Rows

    func meta(_ result: PGResult, _ row: Int = 0) throws -> StoreMeta {
        guard result.rows > row else {
            throw DriverFailure(.corrupt, "drover_meta has lost its row; restore the database from a backup")
        }
        return StoreMeta(
            revision: result.integer(row, 0),
            batch: result.integer(row, 1),
            compacted: result.integer(row, 2),
            swept: result.integer(row, 3),
            purged: result.integer(row, 4),
            generationStart: result.integer(row, 6),
            systemRevision: result.integer(row, 7),
            clusterID: UInt64(bitPattern: result.integer(row, 5)),
            memberID: driver.instanceID
        )
    }

    func states(_ result: PGResult, count: Int) -> [KeyState?] {
        var states = [KeyState?](repeating: nil, count: count)
        for row in 0..<result.rows {
            let place = Int(result.integer(row, 0)) - 1
            if !result.isNull(row, 1) {
                states[place] = KeyState(
                    main: result.integer(row, 1),
                    sub: result.integer(row, 2),
                    createRevision: result.integer(row, 3),
                    version: result.integer(row, 4),
                    lease: result.integer(row, 5),
                    valueLength: Int(result.integer(row, 6))
                )
            } else if !result.isNull(row, 7) {
                states[place] = KeyState(main: result.integer(row, 7), sub: result.integer(row, 8))
            }
        }
        return states
    }

    static func leases(_ result: PGResult) -> [(id: Int64, state: LeaseState)] {
        (0..<result.rows).map { row in
            (
                result.integer(row, 0),
                LeaseState(
                    grantedTTL: result.integer(row, 1),
                    deadline: result.integer(row, 2),
                    now: result.integer(row, 3)
                )
            )
        }
    }

    func systemState() throws -> Bytes {
        try connection.send(PGStatements.system)
        let result = try connection.land()[0]
        return result.rows > 0 ? Bytes(result.bytes(0, 0)) : []
    }

    // MARK: - Snapshots

    func fetchMeta() throws -> StoreMeta {
        try connection.send(PGStatements.meta)
        return try meta(connection.land()[0])
    }

    func openSnapshot() throws -> StoreMeta {
        try connection.send(PGStatements.beginSnapshot)
        try connection.send(PGStatements.meta)
        return try meta(connection.land()[1])
    }

    /// Sent at once, since an open snapshot keeps dead rows alive; the answer is read with the next flight's.
    func closeSnapshot() throws {
        try connection.send(PGStatements.commit)
        try connection.leave()
    }

    // MARK: - Windows

    func fetch(
        _ range: KeyRange,
        from start: Bytes,
        at revision: Int64?,
        longest: Int?,
        limit: Int
    ) throws -> PGRows {
        let end = range.exclusiveEnd
        let values = longest != nil
        let statement =
            revision == nil
            ? PGStatements.scan(bounded: end != nil, values: values)
            : PGStatements.history(bounded: end != nil, values: values)
        var parameters = PGParameters()
        parameters.add(start)
        parameters.add(Int64(limit))
        if let end { parameters.add(end) }
        if let revision { parameters.add(revision) }
        if let longest { parameters.add(Int64(longest)) }
        try connection.send(statement, parameters)
        return PGRows(try connection.land()[0], values: values)
    }

    func fetchLog(after place: LogPosition, longest: Int?, limit: Int) throws -> PGRows {
        var parameters = PGParameters()
        parameters.add(place.main)
        parameters.add(place.sub)
        parameters.add(Int64(limit))
        if let longest { parameters.add(Int64(longest)) }
        try connection.send(PGStatements.log(values: longest != nil), parameters)
        return PGRows(try connection.land()[0], values: longest != nil, ofLog: true)
    }

    func fetchEvents(_ places: [LogPosition], longest: Int) throws -> [PGRows] {
        var parameters = PGParameters()
        parameters.add(places.map(\.main))
        parameters.add(places.map(\.sub))
        parameters.add(Int64(longest))
        try connection.send(PGStatements.events, parameters)
        return [PGRows(try connection.land()[0], values: true, ofLog: true)]
    }

    func fetchStates(of keys: [Bytes]) throws -> [KeyState?] {
        var parameters = PGParameters()
        parameters.add(keys)
        try connection.send(PGStatements.states, parameters)
        return states(try connection.land()[0], count: keys.count)
    }

    func fetchCount(of range: KeyRange) throws -> Int64 {
        let end = range.exclusiveEnd
        var parameters = PGParameters()
        parameters.add(range.lower)
        if let end { parameters.add(end) }
        try connection.send(PGStatements.count(bounded: end != nil), parameters)
        return try connection.land()[0].integer(0, 0)
    }

    // MARK: - Single things

    func key(in range: KeyRange, after count: Int) throws -> Bytes? {
        let end = range.exclusiveEnd
        var parameters = PGParameters()
        parameters.add(range.lower)
        parameters.add(Int64(count))
        if let end { parameters.add(end) }
        try connection.send(PGStatements.key(bounded: end != nil), parameters)
        let result = try connection.land()[0]
        return result.rows > 0 ? Bytes(result.bytes(0, 0)) : nil
    }

    func lease(_ id: Int64) throws -> LeaseState? {
        var parameters = PGParameters()
        parameters.add([id])
        try connection.send(PGStatements.leasesByID, parameters)
        return Self.leases(try connection.land()[0]).first?.state
    }

    func keys(attachedTo lease: Int64) throws -> [Bytes] {
        var parameters = PGParameters()
        parameters.add(lease)
        try connection.send(PGStatements.keysOfLease, parameters)
        let result = try connection.land()[0]
        return (0..<result.rows).map { Bytes(result.bytes($0, 0)) }
    }

    func keys(attachedTo leases: [Int64], limit: Int) throws -> [[Bytes]] {
        var parameters = PGParameters()
        parameters.add(leases)
        parameters.add(Int64(limit) + 1)
        try connection.send(PGStatements.keysOfLeases, parameters)
        let result = try connection.land()[0]
        var row = 0
        return Self.attached(to: leases.count, limit: limit) {
            if row == result.rows { return nil }
            defer { row += 1 }
            return (Int(result.integer(row, 0)) - 1, Bytes(result.bytes(row, 1)))
        }
    }
}
