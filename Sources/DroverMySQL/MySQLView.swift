import Drover

/// Reading on one connection: what the writer, the readers and the link share.
final class MySQLView: ServerView {
    /// The database's clock in microseconds; sessions keep universal time.
    static let clock = "CAST(UNIX_TIMESTAMP(NOW(6)) * 1000000 AS SIGNED)"
    /// With whether the server has been made read-only: a primary that was turned into a replica goes on answering the
    /// connections it has, with what it knows.
    static let metaColumns =
        "revision, batch, compacted, swept, purged, cluster_id, generation_start, @@global.read_only NOT IN ('0', 'OFF'), system_revision"
    static let selectMeta = "SELECT \(metaColumns) FROM drover_meta WHERE id = 1"

    let driver: MySQLDriver
    let connection: MySQLConnection
    var averageValueBytes = 512
    var history: HistoryGuard { driver.history }
    var cache: RowCache { driver.rows }

    init(_ driver: MySQLDriver, _ connection: MySQLConnection) {
        self.driver = driver
        self.connection = connection
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

    /// Adds the statements that read the states of keys; ``states(_:_:_:)`` reads their two answers.
    func appendStates(of keys: [Bytes], _ text: inout SQLText) {
        text.append(
            "SELECT k, main, sub, created, version, lease, length FROM drover_current FORCE INDEX (PRIMARY) WHERE k IN "
        )
        text.append(list: keys)
        text.end()
        text.append("SELECT k, main, sub FROM drover_tombstone FORCE INDEX (PRIMARY) WHERE k IN ")
        text.append(list: keys)
        text.end()
    }

    func states(_ keys: [Bytes], _ live: MySQLResult, _ dead: MySQLResult) -> [KeyState?] {
        var found: [Bytes: KeyState] = [:]
        found.reserveCapacity(live.rows + dead.rows)
        while dead.next() {
            found[Bytes(dead.bytes(0))] = KeyState(main: dead.integer(1), sub: dead.integer(2))
        }
        let rows = MySQLRows(live, values: false)
        while let row = rows.next() { found[Bytes(row.key)] = row.state() }
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
        through revision: Int64?,
        longest: Int?,
        limit: Int,
        _ text: inout SQLText
    ) {
        text.append("SELECT c.k, c.main, c.sub, c.created, c.version, c.lease, c.length")
        if let longest { Self.appendValue(longest, "c.length", "l.v", &text) }
        text.append(" FROM drover_current c FORCE INDEX (PRIMARY)")
        if longest != nil {
            if let revision {
                // Of what is newer there is nothing to join.
                text.append(
                    " LEFT JOIN drover_log l FORCE INDEX (PRIMARY) ON l.main = CASE WHEN c.main <= "
                )
                text.append(revision)
                text.append(" THEN c.main END AND l.sub = c.sub")
            } else {
                text.append(
                    " STRAIGHT_JOIN drover_log l FORCE INDEX (PRIMARY) ON l.main = c.main AND l.sub = c.sub"
                )
            }
        }
        text.append(" WHERE ")
        appendRange(range, from: start, of: "c.k", &text)
        text.append(" ORDER BY c.k LIMIT ")
        text.append(Int64(limit))
        text.end()
    }

    // MARK: - Snapshots

    func fetchMeta() throws -> StoreMeta { try meta(connection.query(Self.selectMeta)[0]) }

    func openSnapshot() throws -> StoreMeta {
        var text = SQLText()
        text.add("START TRANSACTION WITH CONSISTENT SNAPSHOT, READ ONLY")
        text.add(Self.selectMeta)
        return try meta(connection.land(text)[1])
    }

    func closeSnapshot() throws { try connection.query("COMMIT") }

    // MARK: - Windows

    func fetch(
        _ range: KeyRange,
        from start: Bytes,
        at revision: Int64?,
        longest: Int?,
        limit: Int
    ) throws -> MySQLRows {
        var text = SQLText()
        appendScan(range, from: start, through: revision, longest: longest, limit: limit, &text)
        if let revision { appendDeleted(range, from: start, since: revision, limit: limit, &text) }
        let results = try connection.land(text)
        return MySQLRows(
            results[0]!,
            values: longest != nil,
            deleted: revision == nil ? nil : results[1],
            limit: limit
        )
    }

    /// Columns of the log as ``MySQLRows`` takes them.
    private static func appendLog(longest: Int?, _ text: inout SQLText) {
        text.append("SELECT k, main, sub, created, version, lease, ")
        if let longest {
            text.append("length(v)")
            appendValue(longest, "length(v)", "v", &text)
        } else {
            text.append("0")
        }
        text.append(", previous_main, previous_sub FROM drover_log FORCE INDEX (PRIMARY) WHERE ")
    }

    func fetchLog(after place: LogPosition, longest: Int?, limit: Int) throws -> MySQLRows {
        var text = SQLText()
        Self.appendLog(longest: longest, &text)
        Self.appendAfter(place, &text)
        text.append(" ORDER BY main, sub LIMIT ")
        text.append(Int64(limit))
        text.end()
        return MySQLRows(try connection.land(text)[0]!, values: longest != nil, ofLog: true)
    }

    func fetchEvents(_ places: [LogPosition], longest: Int) throws -> [MySQLRows] {
        var text = SQLText()
        Self.grouped(places) { condition in
            Self.appendLog(longest: longest, &text)
            condition(&text)
            text.end()
        }
        return try connection.land(text).compactMap { $0.map { MySQLRows($0, values: true, ofLog: true) } }
    }

    func fetchStates(of keys: [Bytes]) throws -> [KeyState?] {
        var text = SQLText()
        appendStates(of: keys, &text)
        let results = try connection.land(text)
        return states(keys, results[0]!, results[1]!)
    }

    func fetchCount(of range: KeyRange) throws -> Int64 {
        var text = SQLText()
        text.append("SELECT count(*) FROM drover_current WHERE ")
        appendRange(range, from: range.lower, &text)
        text.end()
        let result = try connection.land(text)[0]!
        return result.next() ? result.integer(0) : 0
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

    func keys(attachedTo leases: [Int64], limit: Int) throws -> [[Bytes]] {
        if leases.isEmpty { return [] }
        let list = leases.map(String.init).joined(separator: ",")
        let text = "SELECT lease, k FROM drover_lease_key WHERE lease IN (\(list)) ORDER BY lease, k LIMIT \(limit + 1)"
        let result = try connection.query(text)[0]!
        var place = 0
        return Self.attached(to: leases.count, limit: limit) {
            guard result.next() else { return nil }
            while leases[place] != result.integer(0) { place += 1 }
            return (place, Bytes(result.bytes(1)))
        }
    }
}
