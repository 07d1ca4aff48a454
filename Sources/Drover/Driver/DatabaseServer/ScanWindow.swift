/// How many rows a driver of a database server fetches at a time: few round trips, and memory bounded whatever the
/// values' size.
struct ScanWindow: Sendable {
    private static let smallest = 16
    private static let largest = 2_048
    /// Bytes of one fetch, about.
    private static let bytes = 1 << 20
    /// Bytes of one fetch of values that are longer than was known.
    private static let mostBytes = 16 << 20

    private var expecting: Int
    /// Rows whose values' size is not known yet.
    private var isFirst = true
    private var averageBytes: Int
    private var rows = 1

    /// A window for a scan of which about so many rows will be taken.
    ///
    /// - Parameter averageBytes: what a row's value came to lately; 0 when rows carry no values.
    init(expecting: Int, averageBytes: Int) {
        self.expecting = max(1, expecting)
        self.averageBytes = averageBytes
    }

    /// The rows to fetch next.
    mutating func next() -> Int {
        var rows = Self.largest
        if averageBytes > 0 { rows = min(rows, max(Self.smallest, Self.bytes / averageBytes)) }
        rows = min(rows, max(1, expecting))
        // Where nothing is known, a long scan begins with a small step.
        if isFirst && averageBytes == 0 { rows = min(rows, 512) }
        isFirst = false
        self.rows = rows
        return rows
    }

    /// The longest value that comes with its row in the next fetch; longer ones are fetched by themselves, so that memory
    /// is bounded before it is known what values come to.
    var longest: Int { max(Self.mostBytes / rows, 4 * averageBytes) }

    /// What the last fetch came to.
    mutating func took(rows: Int, bytes: Int) {
        // Whoever takes more than was expected takes much more.
        expecting = expecting > rows ? expecting - rows : Self.largest
        if rows > 0 && bytes > 0 { averageBytes = max(1, bytes / rows) }
    }
}
