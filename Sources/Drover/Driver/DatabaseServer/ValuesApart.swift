/// Values of a window's rows that came without them.
struct ValuesApart<Rows: FetchedRows> {
    /// Those that were kept, by the rows' numbers.
    private var values: [Bytes?]
    /// Those that were fetched, by their places; valid for as long as ``fetched``.
    var events: [LogPosition: UnsafeRawBufferPointer] = [:]
    /// What holds them.
    var fetched: [Rows] = []

    init(rows: Int) { values = Array(repeating: nil, count: rows) }

    mutating func keep(_ value: Bytes, of row: Int) { values[row] = value }

    /// Lends the row of that number with its value. One that is too long to have come with others has no address.
    func lend<R>(_ row: RowView, _ number: Int, to body: (RowView) throws -> R) rethrows -> R {
        if let value = values[number] { return try row.lending(value, to: body) }
        var whole = row
        if let value = events[LogPosition(main: row.main, sub: row.sub)] { whole.value = value }
        return try withExtendedLifetime(fetched) { try body(whole) }
    }
}
