import CSQLite
import Drover

/// A connection for reading: it never writes and never checkpoints.
final class SQLiteReader: DriverReader, ForwardingView {
    private let view: SQLiteView
    private let gate: ReadGate
    private let begin: SQLiteStatement
    private let end: SQLiteStatement
    private var inSnapshot = false

    init(_ driver: SQLiteDriver) throws {
        let connection = try SQLiteConnection(reading: driver)
        try connection.execute("PRAGMA temp_store = MEMORY")
        try connection.execute("PRAGMA cache_size = -\(driver.configuration.readerCacheKiB)")
        view = try SQLiteView(connection, driver)
        gate = driver.gate
        begin = try connection.prepare("BEGIN")
        end = try connection.prepare("COMMIT")
    }

    func readMeta() throws -> StoreMeta {
        try gate.pass()
        return try view.readMeta()
    }

    func beginSnapshot() throws -> StoreMeta {
        try gate.pass()
        try begin.run()
        inSnapshot = true
        // SQLite takes the snapshot with the first read.
        return try view.readMeta()
    }

    func endSnapshot() {
        guard inSnapshot else { return }
        inSnapshot = false
        try? end.run()
    }

    func point(
        _ key: Bytes,
        values: Bool,
        longest: Int,
        _ body: (RowView) throws -> Void
    ) throws -> StoreMeta {
        try gate.pass()
        return try view.point(key, values: values, longest: longest, body)
    }

    func points(_ keys: [Bytes], longest: Int, _ body: (Int, RowView) throws -> Void) throws -> StoreMeta {
        defer { endSnapshot() }
        let meta = try beginSnapshot()
        for (place, key) in keys.enumerated() {
            _ = try view.point(key, values: true, longest: longest) { try body(place, $0) }
        }
        return meta
    }

    func leases() throws -> [(id: Int64, state: LeaseState)] { try view.leases() }

    func instances() throws -> [InstanceRecord] { [] }

    func size() throws -> (total: Int64, inUse: Int64) {
        let page = try view.connection.integer("PRAGMA page_size") ?? 0
        let pages = try view.connection.integer("PRAGMA page_count") ?? 0
        let free = try view.connection.integer("PRAGMA freelist_count") ?? 0
        return (page * pages, page * (pages - free))
    }

    func faults(limit: Int) throws -> [String] {
        try gate.check()
        let statement = try view.connection.prepare("PRAGMA integrity_check(\(limit))")
        var faults: [String] = []
        while try statement.step() {
            let words = String(decoding: statement.bytes(0), as: UTF8.self)
            if words != "ok" { faults.append("SQLite says of the file: \(words)") }
        }
        return faults
    }

    func readingView() throws -> any DriverView {
        try gate.check()
        return view
    }
}
