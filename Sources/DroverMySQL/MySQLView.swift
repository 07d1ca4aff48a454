import Drover

/// Reading on one connection: what the writer, the readers and the link share.
final class MySQLView: DriverView {
    /// The database's clock in microseconds; sessions keep universal time.
    static let clock = "CAST(UNIX_TIMESTAMP(NOW(6)) * 1000000 AS SIGNED)"
    /// With whether the server has been made read-only: a primary that was turned into a replica goes on answering the
    /// connections it has, with what it knows.
    static let metaColumns =
        "revision, batch, compacted, swept, purged, cluster_id, generation_start, @@global.read_only NOT IN ('0', 'OFF'), system_revision"
    static let selectMeta = "SELECT \(metaColumns) FROM drover_meta WHERE id = 1"
    private static let logColumns = "k, main, sub, created, version, lease, previous_main, previous_sub"

    let driver: MySQLDriver
    let connection: MySQLConnection
    /// What a row's value came to lately, for the size of the next fetch.
    private var averageValueBytes = 512

    init(_ driver: MySQLDriver, _ connection: MySQLConnection) {
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

    func stayActive() throws { try connection.stayActive() }

    // MARK: - Rows

    /// The row of `meta` that the result is at after its next step.
    func meta(_ result: MySQLResult?) throws -> StoreMeta {
        guard let result, result.next() else {
            throw DriverFailure(.corrupt, "drover_meta has lost its row; restore the database from a backup")
        }
        return try meta(result, from: 0)
    }

    /// ``metaColumns`` of the row the result is at, which begin at `column`.
    func meta(_ result: MySQLResult, from column: Int) throws -> StoreMeta {
        if result.integer(column + 7) != 0 {
            connection.abandon()
            throw MySQLFailure.make(1_290, "the server has been made read-only")
        }
        return StoreMeta(
            revision: result.integer(column),
            batch: result.integer(column + 1),
            compacted: result.integer(column + 2),
            swept: result.integer(column + 3),
            purged: result.integer(column + 4),
            generationStart: result.integer(column + 6),
            systemRevision: result.integer(column + 8),
            clusterID: UInt64(bitPattern: result.integer(column + 5)),
            memberID: driver.instanceID
        )
    }

    private static var nothing: UnsafeRawBufferPointer { UnsafeRawBufferPointer(start: nil, count: 0) }

    /// A row of `current` or of history: key, main, sub, created, version, lease, length and, if asked for, value.
    static func row(_ result: MySQLResult, values: Bool) -> RowView {
        RowView(
            key: result.bytes(0),
            value: values ? result.bytes(7) : nothing,
            valueLength: Int(result.integer(6)),
            main: result.integer(1),
            sub: result.integer(2),
            createRevision: result.integer(3),
            version: result.integer(4),
            lease: result.integer(5)
        )
    }

    private static func logRow(_ result: MySQLResult, values: Bool) -> RowView {
        RowView(
            key: result.bytes(0),
            value: values ? result.bytes(9) : nothing,
            valueLength: Int(result.integer(8)),
            main: result.integer(1),
            sub: result.integer(2),
            createRevision: result.integer(3),
            version: result.integer(4),
            lease: result.integer(5),
            previousMain: result.integer(6),
            previousSub: result.integer(7)
        )
    }

    /// Lends a row; its value, where it was too long to come with others, is fetched by itself.
    private func lend<R>(_ row: RowView, lacksValue: Bool, _ body: (RowView) throws -> R) throws -> R {
        if !lacksValue { return try body(row) }
        let result = try connection.query(
            "SELECT v FROM drover_log FORCE INDEX (PRIMARY) WHERE main = \(row.main) AND sub = \(row.sub)"
        )[0]!
        guard result.next() else {
            throw DriverFailure(.corrupt, "an event has gone from drover_log; restore the database from a backup")
        }
        var whole = row
        whole.value = result.bytes(0)
        return try body(whole)
    }

    // MARK: - Statements in parts

    /// The value, when it is no longer than `longest`; NULL otherwise.
    static func appendValue(
        _ longest: Int,
        _ length: StaticString,
        _ value: StaticString,
        _ text: inout SQLText
    ) {
        text.append(", CASE WHEN ")
        text.append(length)
        text.append(" <= ")
        text.append(Int64(longest))
        text.append(" THEN ")
        text.append(value)
        text.append(" END")
    }

    private static func appendStates(_ keys: [Bytes], _ text: inout SQLText) {
        text.append(
            "SELECT k, main, sub, created, version, lease, length FROM drover_current FORCE INDEX (PRIMARY) WHERE k IN "
        )
        text.append(list: keys)
        text.end()
        text.append("SELECT k, main, sub FROM drover_tombstone FORCE INDEX (PRIMARY) WHERE k IN ")
        text.append(list: keys)
        text.end()
    }

    /// Adds the statements that read the states of keys; ``states(_:_:_:)`` reads their two answers.
    func appendStates(of keys: [Bytes], _ text: inout SQLText) { Self.appendStates(keys, &text) }

    func states(_ keys: [Bytes], _ live: MySQLResult, _ dead: MySQLResult) -> [KeyState?] {
        var found: [Bytes: KeyState] = [:]
        found.reserveCapacity(live.rows + dead.rows)
        while dead.next() {
            found[Bytes(dead.bytes(0))] = KeyState(main: dead.integer(1), sub: dead.integer(2))
        }
        while live.next() { found[Bytes(live.bytes(0))] = Self.row(live, values: false).state() }
        return keys.map { found[$0] }
    }

    static func leases(_ result: MySQLResult) -> [(id: Int64, state: LeaseState)] {
        var leases: [(id: Int64, state: LeaseState)] = []
        while result.next() {
            leases.append(
                (
                    result.integer(0),
                    LeaseState(grantedTTL: result.integer(1), deadline: result.integer(2), now: result.integer(3))
                )
            )
        }
        return leases
    }

    func systemState() throws -> Bytes {
        let result = try connection.query("SELECT state FROM drover_system WHERE id = 1")[0]!
        return result.next() ? Bytes(result.bytes(0)) : []
    }

    func appendRange(
        _ range: KeyRange,
        from start: Bytes,
        of column: StaticString = "k",
        _ text: inout SQLText
    ) {
        text.append(column)
        if range.isSingle {
            text.append(" = ")
            text.append(start)
            return
        }
        text.append(" >= ")
        text.append(start)
        if case .before(let end) = range.upper {
            text.append(" AND ")
            text.append(column)
            text.append(" < ")
            text.append(end)
        }
    }

    /// Values are joined row by row in the order of the keys: with the keys in a derived table it would be written out
    /// first and what was joined to it sorted, values and all.
    private func appendScan(
        _ range: KeyRange,
        from start: Bytes,
        longest: Int?,
        limit: Int,
        _ text: inout SQLText
    ) {
        text.append("SELECT c.k, c.main, c.sub, c.created, c.version, c.lease, c.length")
        if let longest { Self.appendValue(longest, "c.length", "l.v", &text) }
        text.append(" FROM drover_current c FORCE INDEX (PRIMARY)")
        if longest != nil {
            text.append(
                " STRAIGHT_JOIN drover_log l FORCE INDEX (PRIMARY) ON l.main = c.main AND l.sub = c.sub"
            )
        }
        text.append(" WHERE ")
        appendRange(range, from: start, of: "c.k", &text)
        text.append(" ORDER BY c.k LIMIT ")
        text.append(Int64(limit))
        text.end()
    }

    // MARK: - Ranges

    func scan(
        _ range: KeyRange,
        at revision: Int64?,
        values: Bool,
        expecting: Int,
        _ body: (RowView) throws -> Bool
    ) throws {
        var window = ScanWindow(
            expecting: range.isSingle ? 1 : expecting,
            averageBytes: values ? averageValueBytes : 0
        )
        var start = range.lower
        while true {
            let limit = window.next()
            let longest = values ? window.longest : nil
            var text = SQLText()
            if let revision {
                appendHistory(range, from: start, at: revision, longest: longest, limit: limit, &text)
            } else {
                appendScan(range, from: start, longest: longest, limit: limit, &text)
            }
            let result = try connection.land(text)[0]!
            let older = try revision.map { try olderPlaces(result, at: $0) } ?? [:]
            var bytes = 0
            var taken = 0
            while result.next() {
                taken += 1
                start = result.rows == limit ? Bytes(result.bytes(0)) : start
                var goesOn = true
                if let revision, result.integer(1) > revision {
                    if let place = older[Bytes(result.bytes(0))] {
                        _ = try event(main: place.main, sub: place.sub) { row in
                            var row = row
                            if !values { row.value = Self.nothing }
                            if row.version != 0 { goesOn = try body(row) }
                        }
                    }
                } else if revision == nil || !result.isNull(4) && result.integer(4) != 0 {
                    // A key that did not exist at the revision has no row in the log, or one of its deletion.
                    let row = Self.row(result, values: values)
                    bytes += row.valueLength
                    if values { averageValueBytes = max(1, bytes / taken) }
                    goesOn = try lend(row, lacksValue: values && result.isNull(7), body)
                }
                if !goesOn { return }
            }
            if result.rows < limit || range.isSingle { return }
            window.took(rows: result.rows, bytes: values ? bytes : 0)
            start = start.successor
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
        var text = SQLText()
        text.append("SELECT count(*) FROM drover_current WHERE ")
        appendRange(range, from: range.lower, &text)
        text.end()
        let result = try connection.land(text)[0]!
        return result.next() ? result.integer(0) : 0
    }

    func key(in range: KeyRange, after count: Int) throws -> Bytes? {
        var text = SQLText()
        text.append("SELECT k FROM drover_current FORCE INDEX (PRIMARY) WHERE ")
        appendRange(range, from: range.lower, &text)
        text.append(" ORDER BY k LIMIT 1 OFFSET ")
        text.append(Int64(count))
        text.end()
        let result = try connection.land(text)[0]!
        return result.next() ? Bytes(result.bytes(0)) : nil
    }

    // MARK: - The log

    /// The longest value that comes with those of 63 other events.
    private static let longestOfMany = 128 << 10

    func event(main: Int64, sub: Int64, _ body: (RowView) throws -> Void) throws -> Bool {
        var found = false
        try events([LogPosition(main: main, sub: sub)]) { _, row in
            found = true
            try body(row)
        }
        return found
    }

    func events(_ positions: [LogPosition], _ body: (Int, RowView) throws -> Void) throws {
        var start = 0
        while start < positions.count {
            let slice = positions[start..<min(positions.count, start + 64)]
            var places: [LogPosition: [Int]] = [:]
            for (place, position) in slice.enumerated() { places[position, default: []].append(start + place) }
            // One is fetched whatever its size.
            let longest = slice.count == 1 ? Int.max : Self.longestOfMany
            var text = SQLText()
            Self.grouped(Array(places.keys)) { condition in
                text.append(text: "SELECT \(Self.logColumns), length(v)")
                Self.appendValue(longest, "length(v)", "v", &text)
                text.append(" FROM drover_log FORCE INDEX (PRIMARY) WHERE ")
                condition(&text)
                text.end()
            }
            for case let result? in try connection.land(text) {
                while result.next() {
                    try lend(Self.logRow(result, values: true), lacksValue: result.isNull(9)) { row in
                        for place in places[LogPosition(main: row.main, sub: row.sub)] ?? [] { try body(place, row) }
                    }
                }
            }
            start += slice.count
        }
    }

    /// Conditions that together name the positions, each one range of the log's key: by place where events are one a
    /// revision, by revision where they are many.
    static func grouped(_ positions: [LogPosition], _ body: ((inout SQLText) -> Void) -> Void) {
        for group in LogPosition.grouped(positions) {
            body { text in
                switch group {
                case .sub(let sub, let mains):
                    text.append("main IN ")
                    text.append(list: mains)
                    text.append(" AND sub = ")
                    text.append(sub)
                case .main(let main, let subs):
                    text.append("main = ")
                    text.append(main)
                    text.append(" AND sub IN ")
                    text.append(list: subs)
                }
            }
        }
    }

    func log(from main: Int64, values: Bool, _ body: (RowView) throws -> Bool) throws {
        var window = ScanWindow(expecting: .max, averageBytes: values ? averageValueBytes : 0)
        var last = LogPosition(main: main, sub: -1)
        while true {
            let limit = window.next()
            var text = SQLText()
            text.append(text: "SELECT \(Self.logColumns), \(values ? "length(v)" : "0")")
            if values { Self.appendValue(window.longest, "length(v)", "v", &text) }
            text.append(" FROM drover_log FORCE INDEX (PRIMARY) WHERE ")
            Self.appendAfter(last, &text)
            text.append(" ORDER BY main, sub LIMIT ")
            text.append(Int64(limit))
            text.end()
            let result = try connection.land(text)[0]!
            var bytes = 0
            while result.next() {
                let row = Self.logRow(result, values: values)
                bytes += row.valueLength
                last = LogPosition(main: row.main, sub: row.sub)
                if try !lend(row, lacksValue: values && result.isNull(9), body) { return }
            }
            if result.rows < limit { return }
            window.took(rows: result.rows, bytes: values ? bytes : 0)
        }
    }

    /// Rows of the log after a position, in a form that the optimizer takes for two ranges of the key.
    static func appendAfter(_ position: LogPosition, _ text: inout SQLText) {
        text.append("(main = ")
        text.append(position.main)
        text.append(" AND sub > ")
        text.append(position.sub)
        text.append(" OR main > ")
        text.append(position.main)
        text.append(")")
    }

    // MARK: - Single things

    func state(of key: Bytes) throws -> KeyState? { try states(of: [key])[0] }

    func states(of keys: [Bytes]) throws -> [KeyState?] {
        var found: [KeyState?] = []
        found.reserveCapacity(keys.count)
        for start in stride(from: 0, to: keys.count, by: 2_000) {
            let slice = Array(keys[start..<min(keys.count, start + 2_000)])
            var text = SQLText()
            appendStates(of: slice, &text)
            let results = try connection.land(text)
            found += states(slice, results[0]!, results[1]!)
        }
        return found
    }

    func lease(_ id: Int64) throws -> LeaseState? {
        let result = try connection.query("SELECT id, ttl, deadline, \(Self.clock) FROM drover_lease WHERE id = \(id)")
        return Self.leases(result[0]!).first?.state
    }

    func keys(attachedTo lease: Int64) throws -> [Bytes] {
        let result = try connection.query("SELECT k FROM drover_lease_key WHERE lease = \(lease) ORDER BY k")[0]!
        var keys: [Bytes] = []
        while result.next() { keys.append(Bytes(result.bytes(0))) }
        return keys
    }
}
