import Drover

/// Gathers the statements of a batch, and begins another query where one would be longer than the server takes.
struct FlightSplitter {
    /// Queries that are full.
    private(set) var full: [SQLText] = []
    /// The one that is being written, which comes last.
    var text = SQLText(capacity: 64 << 10)
    private let limit: Int

    init(limit: Int) {
        self.limit = limit
    }

    private mutating func split() {
        full.append(text)
        text = SQLText(capacity: 64 << 10)
    }

    /// Adds an INSERT of `rows`, none if there are none; `bytes` is the most a row can come to.
    mutating func rows<Row>(
        _ rows: [Row],
        _ head: String,
        after tail: String = "",
        bytes: (Row) -> Int,
        _ body: (inout SQLText, Row) -> Void
    ) {
        var start = 0
        while start < rows.count {
            var end = start
            var size = text.bytes.count + head.utf8.count + tail.utf8.count
            while end < rows.count {
                size += bytes(rows[end])
                if size > limit && end > start { break }
                end += 1
            }
            if size > limit && text.statements > 0 && end == start + 1 { split() }
            text.append(text: head)
            text.rows(rows[start..<end], body)
            text.append(text: tail)
            text.end()
            start = end
            if start < rows.count { split() }
        }
    }

    /// Adds a statement that ends with a list of keys.
    mutating func list(_ keys: [Bytes], _ head: String) {
        for start in stride(from: 0, to: keys.count, by: 1_000) {
            let slice = keys[start..<min(keys.count, start + 1_000)]
            let size = head.utf8.count + slice.reduce(0) { $0 + $1.count * 2 + 3 }
            if text.bytes.count + size > limit && text.statements > 0 { split() }
            text.append(text: head)
            text.append(list: slice)
            text.end()
        }
    }
}
