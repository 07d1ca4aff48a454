import Drover

/// Rows of `drover_current`, of history or of the log, one after the other: key, main, sub, created, version, lease,
/// length and, if asked for, value; then, of the log, the place of the key's previous event. The length may be NULL where
/// the value is there.
final class PGRows: FetchedRows {
    private let result: PGResult
    private let values: Bool
    /// The column of the previous event's revision.
    private let previous: Int?
    private var row = 0
    let count: Int

    init(_ result: PGResult, values: Bool, ofLog: Bool = false) {
        self.result = result
        self.values = values
        previous = ofLog ? (values ? 8 : 7) : nil
        count = result.rows
    }

    func next() -> RowView? {
        guard row < count else { return nil }
        defer { row += 1 }
        var value = UnsafeRawBufferPointer(start: nil, count: 0)
        if values && !result.isNull(row, 7) { value = result.bytes(row, 7) }
        return RowView(
            key: result.bytes(row, 0),
            value: value,
            valueLength: result.isNull(row, 6) ? value.count : Int(result.integer(row, 6)),
            main: result.integer(row, 1),
            sub: result.integer(row, 2),
            createRevision: result.integer(row, 3),
            version: result.integer(row, 4),
            lease: result.integer(row, 5),
            previousMain: previous.map { result.integer(row, $0) } ?? 0,
            previousSub: previous.map { result.integer(row, $0 + 1) } ?? 0
        )
    }

    func seek(_ row: Int) { self.row = row }
}
