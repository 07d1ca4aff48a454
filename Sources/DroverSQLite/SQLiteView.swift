import CSQLite
import Drover

/// Reading on one connection: what the writer and the readers share.
final class SQLiteView: DriverView {
    private static let metaColumns = "revision, batch, compacted, swept, cluster_id, member_id, system_revision"

    let connection: SQLiteConnection
    let revisions: RevisionMap
    let driver: SQLiteDriver
    private let meta: SQLiteStatement
    private let pointWithValue: SQLiteStatement
    private let pointWithoutValue: SQLiteStatement
    private let currentByKey: SQLiteStatement
    private let tombstoneByKey: SQLiteStatement
    private let logByID: SQLiteStatement
    /// The same without the value, of which the length alone is read.
    private let logHeadByID: SQLiteStatement
    /// Where an event's key was before it, and when it was created.
    let previousByID: SQLiteStatement
    /// What came before the creation of a key in a revision.
    let creation: SQLiteStatement
    private let byLease: SQLiteStatement
    private let leaseByID: SQLiteStatement
    private let system: SQLiteStatement
    // Scans may nest, as when a transaction reads inside a read: a scan in use is not used again.
    private var scans: [String: [SQLiteStatement]] = [:]

    init(_ connection: SQLiteConnection, _ driver: SQLiteDriver) throws {
        self.connection = connection
        self.driver = driver
        revisions = driver.revisions
        meta = try connection.prepare("SELECT \(Self.metaColumns) FROM drover_meta")
        pointWithValue = try connection.prepare(
            """
            SELECT \(Self.metaColumns), c.id, c.created, c.version, c.lease, c.length,
                CASE WHEN c.length <= ?2 THEN l.value END
            FROM drover_meta LEFT JOIN drover_current c ON c.key = ?1 LEFT JOIN drover_log l ON l.id = c.id
            """
        )
        pointWithoutValue = try connection.prepare(
            """
            SELECT \(Self.metaColumns), c.id, c.created, c.version, c.lease, c.length
            FROM drover_meta LEFT JOIN drover_current c ON c.key = ?1
            """
        )
        currentByKey = try connection.prepare(
            "SELECT id, created, version, lease, length FROM drover_current WHERE key = ?1"
        )
        tombstoneByKey = try connection.prepare("SELECT id FROM drover_tombstone WHERE key = ?1")
        logByID = try connection.prepare(
            "SELECT key, value, created, version, lease, previous FROM drover_log WHERE id = ?1"
        )
        logHeadByID = try connection.prepare(
            "SELECT key, length(value), created, version, lease, previous FROM drover_log WHERE id = ?1"
        )
        previousByID = try connection.prepare("SELECT previous, created FROM drover_log WHERE id = ?1")
        creation = try connection.prepare(
            "SELECT previous FROM drover_log WHERE id >= ?1 AND id < ?2 AND key = ?3 AND version = 1"
        )
        system = try connection.prepare("SELECT state FROM drover_system")
        leaseByID = try connection.prepare("SELECT ttl FROM drover_lease WHERE id = ?1")
        byLease = try connection.prepare("SELECT key FROM drover_current WHERE lease = ?1 AND lease <> 0 ORDER BY key")
    }

    private func readMeta(_ statement: SQLiteStatement) -> StoreMeta {
        let (compacted, swept) = (statement.integer(2), statement.integer(3))
        return StoreMeta(
            revision: statement.integer(0),
            batch: statement.integer(1),
            compacted: compacted,
            swept: swept,
            purged: min(compacted, max(swept, driver.purged.load(ordering: .acquiring))),
            systemRevision: statement.integer(6),
            clusterID: UInt64(bitPattern: statement.integer(4)),
            memberID: UInt64(bitPattern: statement.integer(5))
        )
    }

    func readMeta() throws -> StoreMeta {
        defer { meta.reset() }
        guard try meta.step() else {
            throw DriverFailure(.corrupt, "the SQLite file has lost its row in drover_meta; restore it from a backup")
        }
        return readMeta(meta)
    }

    func point(_ key: Bytes, values: Bool, longest: Int, _ body: (RowView) throws -> Void) throws -> StoreMeta {
        let statement = values ? pointWithValue : pointWithoutValue
        return try key.withUnsafeBytes { lent in
            statement.bind(1, lending: lent)
            if values { statement.bind(2, Int64(longest)) }
            defer { statement.reset() }
            guard try statement.step() else {
                throw DriverFailure(
                    .corrupt,
                    "the SQLite file has lost its row in drover_meta; restore it from a backup"
                )
            }
            let meta = readMeta(statement)
            let id = statement.integer(7)
            if id != 0 {
                let (main, sub) = revisions.position(id)
                try body(
                    RowView(
                        key: lent,
                        value: values ? statement.bytes(12) : UnsafeRawBufferPointer(start: nil, count: 0),
                        valueLength: Int(statement.integer(11)),
                        main: main,
                        sub: sub,
                        createRevision: statement.integer(8),
                        version: statement.integer(9),
                        lease: statement.integer(10)
                    )
                )
            }
            return meta
        }
    }

    func systemState() throws -> Bytes {
        defer { system.reset() }
        return try system.step() ? Bytes(system.bytes(0)) : []
    }

    func state(of key: Bytes) throws -> KeyState? {
        try key.withUnsafeBytes { lent in
            currentByKey.bind(1, lending: lent)
            defer { currentByKey.reset() }
            if try currentByKey.step() {
                let (main, sub) = revisions.position(currentByKey.integer(0))
                return KeyState(
                    main: main,
                    sub: sub,
                    createRevision: currentByKey.integer(1),
                    version: currentByKey.integer(2),
                    lease: currentByKey.integer(3),
                    valueLength: Int(currentByKey.integer(4))
                )
            }
            tombstoneByKey.bind(1, lending: lent)
            defer { tombstoneByKey.reset() }
            if try tombstoneByKey.step() {
                let (main, sub) = revisions.position(tombstoneByKey.integer(0))
                return KeyState(main: main, sub: sub)
            }
            return nil
        }
    }

    func states(of keys: [Bytes]) throws -> [KeyState?] { try keys.map { try state(of: $0) } }

    func event(main: Int64, sub: Int64, _ body: (RowView) throws -> Void) throws -> Bool {
        try event(id: revisions.id(main, sub), body)
    }

    func event(id: Int64, values: Bool = true, _ body: (RowView) throws -> Void) throws -> Bool {
        let logByID = values ? logByID : logHeadByID
        logByID.bind(1, id)
        defer { logByID.reset() }
        guard try logByID.step() else { return false }
        let (main, sub) = revisions.position(id)
        let value = values ? logByID.bytes(1) : UnsafeRawBufferPointer(start: nil, count: 0)
        let previous = logByID.integer(5)
        let (previousMain, previousSub) = previous == 0 ? (0, 0) : revisions.position(previous)
        try body(
            RowView(
                key: logByID.bytes(0),
                value: value,
                valueLength: values ? value.count : Int(logByID.integer(1)),
                main: main,
                sub: sub,
                createRevision: logByID.integer(2),
                version: logByID.integer(3),
                lease: logByID.integer(4),
                previousMain: previousMain,
                previousSub: previousSub
            )
        )
        return true
    }

    func events(_ positions: [LogPosition], _ body: (Int, RowView) throws -> Void) throws {
        for (place, position) in positions.enumerated() {
            _ = try event(main: position.main, sub: position.sub) { try body(place, $0) }
        }
    }

    func log(from main: Int64, values: Bool, _ body: (RowView) throws -> Bool) throws {
        let value = values ? "value" : "zeroblob(0)"
        try withScan(
            "SELECT id, key, \(value), created, version, lease, previous FROM drover_log WHERE id >= ?1 ORDER BY id"
        ) { statement in
            statement.bind(1, revisions.id(main, 0))
            while try statement.step() {
                let (main, sub) = revisions.position(statement.integer(0))
                let value = statement.bytes(2)
                let previous = statement.integer(6)
                let (previousMain, previousSub) = previous == 0 ? (0, 0) : revisions.position(previous)
                let goesOn = try body(
                    RowView(
                        key: statement.bytes(1),
                        value: value,
                        valueLength: value.count,
                        main: main,
                        sub: sub,
                        createRevision: statement.integer(3),
                        version: statement.integer(4),
                        lease: statement.integer(5),
                        previousMain: previousMain,
                        previousSub: previousSub
                    )
                )
                if !goesOn { return }
            }
        }
    }

    /// Deadlines of an embedded database live in memory: here they are as far away as they were when granted.
    func lease(_ id: Int64) throws -> LeaseState? {
        leaseByID.bind(1, id)
        defer { leaseByID.reset() }
        return try leaseByID.step() ? Self.armed(leaseByID.integer(0)) : nil
    }

    func leases() throws -> [(id: Int64, state: LeaseState)] {
        let statement = try connection.prepare("SELECT id, ttl FROM drover_lease ORDER BY ttl, id")
        var leases: [(id: Int64, state: LeaseState)] = []
        while try statement.step() { leases.append((statement.integer(0), Self.armed(statement.integer(1)))) }
        return leases
    }

    private static func armed(_ ttl: Int64) -> LeaseState {
        LeaseState(grantedTTL: ttl, deadline: ttl.multipliedReportingOverflow(by: 1_000_000).partialValue, now: 0)
    }

    func keys(attachedTo lease: Int64) throws -> [Bytes] {
        byLease.bind(1, lease)
        defer { byLease.reset() }
        var keys: [Bytes] = []
        while try byLease.step() { keys.append(Bytes(byLease.bytes(0))) }
        return keys
    }

    // MARK: - Ranges

    /// What a statement that walks `drover_current` selects first, for ``current(_:)``.
    static let currentColumns = "c.key, c.id, c.created, c.version, c.lease, c.length"

    /// The row that a statement with ``currentColumns`` is at, without its value.
    func current(_ statement: SQLiteStatement) -> RowView {
        let (main, sub) = revisions.position(statement.integer(1))
        return RowView(
            key: statement.bytes(0),
            value: UnsafeRawBufferPointer(start: nil, count: 0),
            valueLength: Int(statement.integer(5)),
            main: main,
            sub: sub,
            createRevision: statement.integer(2),
            version: statement.integer(3),
            lease: statement.integer(4)
        )
    }

    /// Lends a row of ``current(_:)``, with its value and the value's id in the columns behind when that is wanted.
    func lendCurrent(_ statement: SQLiteStatement, values: Bool, _ body: (RowView) throws -> Bool) throws -> Bool {
        var row = current(statement)
        if values {
            if statement.integer(7) == 0 { return true }
            row.value = statement.bytes(6)
        }
        return try body(row)
    }

    /// The condition on `key` for a range; its bounds are parameters 1 and 2.
    static func condition(_ range: KeyRange, _ table: String) -> String {
        switch range.upper {
        case .single: "\(table).key = ?1"
        case .before: "\(table).key >= ?1 AND \(table).key < ?2"
        case .unbounded: "\(table).key >= ?1"
        }
    }

    func withScan(_ sql: String, _ body: (SQLiteStatement) throws -> Void) throws {
        let statement = try borrow(sql)
        defer { giveBack(statement, sql) }
        try body(statement)
    }

    /// A statement that nobody uses until it is given back.
    func borrow(_ sql: String) throws -> SQLiteStatement { try scans[sql]?.popLast() ?? connection.prepare(sql) }

    func giveBack(_ statement: SQLiteStatement, _ sql: String) {
        statement.reset()
        scans[sql, default: []].append(statement)
    }

    func bind(_ range: KeyRange, _ statement: SQLiteStatement) {
        statement.bind(1, copying: range.lower)
        if case .before(let end) = range.upper { statement.bind(2, copying: end) }
    }

    func scan(
        _ range: KeyRange,
        at revision: Int64?,
        values: Bool,
        expecting: Int,
        _ body: (RowView) throws -> Bool
    ) throws {
        if let revision {
            return try scanHistory(range, at: revision, values: values, expecting: expecting, body)
        }
        var kept = driver.rows.scan(range, values: values, expecting: expecting)
        defer { kept?.end() }
        var range = range
        if kept?.isApart == true {
            guard let next = try scan(range, &kept!, body) else { return }
            range.lower = next
            kept!.leave()
        }
        let join = values ? "CROSS JOIN drover_log l ON l.id = c.id" : ""
        let sql = """
            SELECT \(Self.currentColumns)\(values ? ", l.value" : "")
            FROM drover_current c \(join) WHERE \(Self.condition(range, "c")) ORDER BY c.key
            """
        try withScan(sql) { statement in
            bind(range, statement)
            while try statement.step() {
                var row = current(statement)
                if values { row.value = statement.bytes(6) }
                kept?.came(row)
                if try !body(row) { return }
            }
        }
    }

    /// Reads the newest state of a range, and of the log only those rows that are not kept. Answers the key from which the
    /// rest is better read with its values; nil when nothing more is wanted.
    private func scan(_ range: KeyRange, _ kept: inout RowCacheScan, _ body: (RowView) throws -> Bool) throws -> Bytes?
    {
        let keys =
            "SELECT \(Self.currentColumns) FROM drover_current c WHERE \(Self.condition(range, "c")) ORDER BY c.key"
        var rest: Bytes?
        let values = try borrow(Self.valueByID)
        defer { giveBack(values, Self.valueByID) }
        try withScan(keys) { keys in
            bind(range, keys)
            while try keys.step() {
                if kept.isVain {
                    rest = Bytes(keys.bytes(0))
                    return
                }
                if try !lend(keys, values, &kept, body) { return }
            }
        }
        return rest
    }

    /// What reads the values of rows that are not kept.
    static let valueByID = "SELECT value FROM drover_log WHERE id = ?1"

    /// Lends the row that `keys` is at with its value, from memory where it is kept, and else by ``valueByID``.
    func lend(
        _ keys: SQLiteStatement,
        _ values: SQLiteStatement,
        _ kept: inout RowCacheScan,
        _ body: (RowView) throws -> Bool
    ) throws -> Bool {
        var row = current(keys)
        if let value = kept.value(of: row) { return try row.lending(value, to: body) }
        values.bind(1, keys.integer(1))
        defer { values.reset() }
        guard try values.step() else { return true }
        row.value = values.bytes(0)
        kept.missed(row)
        return try body(row)
    }

    func count(_ range: KeyRange, at revision: Int64?) throws -> Int64 {
        var count: Int64 = 0
        if let revision {
            try scanHistory(range, at: revision, values: false, expecting: .max) { _ in
                count += 1
                return true
            }
            return count
        }
        let sql = "SELECT count(*) FROM drover_current c WHERE \(Self.condition(range, "c"))"
        try withScan(sql) { statement in
            bind(range, statement)
            if try statement.step() { count = statement.integer(0) }
        }
        return count
    }

    func key(in range: KeyRange, after count: Int) throws -> Bytes? {
        var key: Bytes?
        let sql =
            "SELECT c.key FROM drover_current c WHERE \(Self.condition(range, "c")) ORDER BY c.key LIMIT 1 OFFSET ?3"
        try withScan(sql) { statement in
            bind(range, statement)
            statement.bind(3, Int64(count))
            if try statement.step() { key = Bytes(statement.bytes(0)) }
        }
        return key
    }
}
