import Drover

/// Rows of `drover_current`, of history or of the log, one after the other: key, main, sub, created, version, lease,
/// length and, if asked for, value; then, of the log, the place of the key's previous event.
final class MySQLRows: FetchedRows {
    private let result: MySQLResult
    private let values: Bool
    /// The column of the previous event's revision.
    private let previous: Int?

    init(_ result: MySQLResult, values: Bool, ofLog: Bool = false) {
        self.result = result
        self.values = values
        previous = ofLog ? (values ? 8 : 7) : nil
    }

    var count: Int { result.rows }

    func next() -> RowView? {
        guard result.next() else { return nil }
        return RowView(
            key: result.bytes(0),
            // NULL has no address.
            value: values ? result.bytes(7) : UnsafeRawBufferPointer(start: nil, count: 0),
            valueLength: Int(result.integer(6)),
            main: result.integer(1),
            sub: result.integer(2),
            createRevision: result.integer(3),
            version: result.integer(4),
            lease: result.integer(5),
            previousMain: previous.map { result.integer($0) } ?? 0,
            previousSub: previous.map { result.integer($0 + 1) } ?? 0
        )
    }

    func seek(_ row: Int) { result.seek(row) }
}
