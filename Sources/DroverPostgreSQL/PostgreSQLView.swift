import Drover

/// Reading on one connection: what the writer, the readers and the link share.
final class PostgreSQLView: DriverView {
    let driver: PostgreSQLDriver
    let connection: PGConnection
    /// What a row's value came to lately, for the size of the next fetch.
    private var averageValueBytes = 512

    init(_ driver: PostgreSQLDriver, _ connection: PGConnection) {
        self.driver = driver
        self.connection = connection
    }

    /// Checks what this connection shows of the database's history; one that shows an old one is given up.
    func check(_ meta: StoreMeta, since floor: HistoryGuard.Floor) throws {
        do {
            try driver.history.check(meta, since: floor, connectedAt: connection.connectedAt)
        } catch let failure as DriverFailure where failure.kind == .unavailable {
            connection.abandon()
            throw failure
        }
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

    private static var nothing: UnsafeRawBufferPointer { UnsafeRawBufferPointer(start: nil, count: 0) }

    /// A row of `current` or of history: key, main, sub, created, version, lease, length and, if asked for, value. The
    /// length may be NULL where the value is there.
    private func row(_ result: PGResult, _ row: Int, values: Bool) -> RowView {
        let value = values ? result.bytes(row, 7) : Self.nothing
        return RowView(
            key: result.bytes(row, 0),
            value: value,
            valueLength: result.isNull(row, 6) ? value.count : Int(result.integer(row, 6)),
            main: result.integer(row, 1),
            sub: result.integer(row, 2),
            createRevision: result.integer(row, 3),
            version: result.integer(row, 4),
            lease: result.integer(row, 5)
        )
    }

    /// A row of the log: key, main, sub, created, version, lease, the previous event's place, the value's length and, if
    /// asked for, value.
    private func logRow(_ result: PGResult, _ row: Int, from column: Int, values: Bool) -> RowView {
        RowView(
            key: result.bytes(row, column),
            value: values ? result.bytes(row, column + 9) : Self.nothing,
            valueLength: Int(result.integer(row, column + 8)),
            main: result.integer(row, column + 1),
            sub: result.integer(row, column + 2),
            createRevision: result.integer(row, column + 3),
            version: result.integer(row, column + 4),
            lease: result.integer(row, column + 5),
            previousMain: result.integer(row, column + 6),
            previousSub: result.integer(row, column + 7)
        )
    }

    /// Lends a row; its value, where it was too long to come with others, is fetched by itself.
    private func lend<R>(_ row: RowView, lacksValue: Bool, _ body: (RowView) throws -> R) throws -> R {
        if !lacksValue { return try body(row) }
        var parameters = PGParameters()
        parameters.add(row.main)
        parameters.add(row.sub)
        try connection.send(PGStatements.value, parameters)
        let result = try connection.land()[0]
        guard result.rows > 0 else {
            throw DriverFailure(.corrupt, "an event has gone from drover_log; restore the database from a backup")
        }
        var whole = row
        whole.value = result.bytes(0, 0)
        return try body(whole)
    }

    func systemState() throws -> Bytes {
        try connection.send(PGStatements.system)
        let result = try connection.land()[0]
        return result.rows > 0 ? Bytes(result.bytes(0, 0)) : []
    }

    // MARK: - Ranges

    /// The range's exclusive end; nil is none.
    private func end(_ range: KeyRange) -> Bytes? {
        switch range.upper {
        case .single: range.lower.successor
        case .before(let end): end
        case .unbounded: nil
        }
    }

    func scan(
        _ range: KeyRange,
        at revision: Int64?,
        values: Bool,
        expecting: Int,
        _ body: (RowView) throws -> Bool
    ) throws {
        let end = end(range)
        let statement =
            revision == nil
            ? PGStatements.scan(bounded: end != nil, values: values)
            : PGStatements.history(bounded: end != nil, values: values)
        var window = ScanWindow(
            expecting: range.isSingle ? 1 : expecting,
            averageBytes: values ? averageValueBytes : 0
        )
        var start = range.lower
        while true {
            let limit = window.next()
            var parameters = PGParameters()
            parameters.add(start)
            parameters.add(Int64(limit))
            if let end { parameters.add(end) }
            if let revision { parameters.add(revision) }
            if values { parameters.add(Int64(window.longest)) }
            try connection.send(statement, parameters)
            let result = try connection.land()[0]
            let older = try revision.map { try olderPlaces(result, at: $0) } ?? [:]
            var bytes = 0
            for i in 0..<result.rows {
                var goesOn = true
                if let revision, result.integer(i, 1) > revision {
                    if let place = older[Bytes(result.bytes(i, 0))] {
                        _ = try event(main: place.main, sub: place.sub) { row in
                            var row = row
                            if !values { row.value = Self.nothing }
                            if row.version != 0 { goesOn = try body(row) }
                        }
                    }
                } else if revision == nil || !result.isNull(i, 4) && result.integer(i, 4) != 0 {
                    // A key that did not exist at the revision has no row in the log, or one of its deletion.
                    let row = row(result, i, values: values)
                    bytes += row.valueLength
                    if values { averageValueBytes = max(1, bytes / (i + 1)) }
                    goesOn = try lend(row, lacksValue: values && result.isNull(i, 7), body)
                }
                if !goesOn { return }
            }
            if result.rows < limit || range.isSingle { return }
            window.took(rows: result.rows, bytes: values ? bytes : 0)
            start = Bytes(result.bytes(result.rows - 1, 0)).successor
        }
    }

    func count(_ range: KeyRange, at revision: Int64?) throws -> Int64 {
        if let revision {
            var count: Int64 = 0
            try scan(range, at: revision, values: false, expecting: .max) { _ in
                count += 1
                return true
            }
            return count
        }
        let end = end(range)
        var parameters = PGParameters()
        parameters.add(range.lower)
        if let end { parameters.add(end) }
        try connection.send(PGStatements.count(bounded: end != nil), parameters)
        return try connection.land()[0].integer(0, 0)
    }

    func key(in range: KeyRange, after count: Int) throws -> Bytes? {
        let end = end(range)
        var parameters = PGParameters()
        parameters.add(range.lower)
        parameters.add(Int64(count))
        if let end { parameters.add(end) }
        try connection.send(PGStatements.key(bounded: end != nil), parameters)
        let result = try connection.land()[0]
        return result.rows > 0 ? Bytes(result.bytes(0, 0)) : nil
    }

    // MARK: - The log

    /// The longest value that comes with those of 63 other events.
    private static let longestOfMany: Int64 = 128 << 10

    func event(main: Int64, sub: Int64, _ body: (RowView) throws -> Void) throws -> Bool {
        var found = false
        try events([LogPosition(main: main, sub: sub)]) { _, row in
            found = true
            try body(row)
        }
        return found
    }

    func events(_ positions: [LogPosition], _ body: (Int, RowView) throws -> Void) throws {
        // So many that even large values stay bounded.
        var start = 0
        while start < positions.count {
            let slice = positions[start..<min(positions.count, start + 64)]
            var parameters = PGParameters()
            parameters.add(slice.map(\.main))
            parameters.add(slice.map(\.sub))
            // One is fetched whatever its size.
            parameters.add(slice.count == 1 ? .max : Self.longestOfMany)
            try connection.send(PGStatements.events, parameters)
            let result = try connection.land()[0]
            for i in 0..<result.rows {
                try lend(logRow(result, i, from: 1, values: true), lacksValue: result.isNull(i, 10)) { row in
                    try body(start + Int(result.integer(i, 0)) - 1, row)
                }
            }
            start += slice.count
        }
    }

    func log(from main: Int64, values: Bool, _ body: (RowView) throws -> Bool) throws {
        var window = ScanWindow(expecting: .max, averageBytes: values ? averageValueBytes : 0)
        var last = LogPosition(main: main, sub: -1)
        while true {
            let limit = window.next()
            var parameters = PGParameters()
            parameters.add(last.main)
            parameters.add(last.sub)
            parameters.add(Int64(limit))
            if values { parameters.add(Int64(window.longest)) }
            try connection.send(PGStatements.log(values: values), parameters)
            let result = try connection.land()[0]
            var bytes = 0
            for i in 0..<result.rows {
                let row = logRow(result, i, from: 0, values: values)
                bytes += row.valueLength
                last = LogPosition(main: row.main, sub: row.sub)
                if try !lend(row, lacksValue: values && result.isNull(i, 9), body) { return }
            }
            if result.rows < limit { return }
            window.took(rows: result.rows, bytes: values ? bytes : 0)
        }
    }

    // MARK: - Single things

    func state(of key: Bytes) throws -> KeyState? { try states(of: [key])[0] }

    func states(of keys: [Bytes]) throws -> [KeyState?] {
        var found: [KeyState?] = []
        found.reserveCapacity(keys.count)
        for start in stride(from: 0, to: keys.count, by: 2_000) {
            let slice = Array(keys[start..<min(keys.count, start + 2_000)])
            var parameters = PGParameters()
            parameters.add(slice)
            try connection.send(PGStatements.states, parameters)
            found += states(try connection.land()[0], count: slice.count)
        }
        return found
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
}
