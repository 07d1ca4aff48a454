import Drover

/// Gathers the statements of a batch, and begins another query where one would be longer than the server takes.
struct FlightSplitter {
    /// The query that is being written, which comes last.
    var text = SQLText(capacity: 64 << 10)
    private let limit: Int
    private let send: (SQLText) throws -> Void

    /// - Parameters:
    ///   - limit: bytes of a query.
    ///   - send: takes each query that is full, at once: the text of a million rows is not held whole, and the server
    ///     does not take the transaction for an idle one while the rest is written.
    init(limit: Int, send: @escaping (SQLText) throws -> Void) {
        self.limit = limit
        self.send = send
    }

    private mutating func split() throws {
        try send(text)
        text = SQLText(capacity: 64 << 10)
    }

    /// Adds an INSERT of `rows`, none if there are none; `bytes` is the most a row can come to.
    mutating func rows<Row>(
        _ rows: [Row],
        _ head: String,
        after tail: String = "",
        bytes: (Row) -> Int,
        _ body: (inout SQLText, Row) -> Void
    ) throws {
        var start = 0
        while start < rows.count {
            var end = start
            var size = text.bytes.count + head.utf8.count + tail.utf8.count
            while end < rows.count {
                size += bytes(rows[end])
                if size > limit && end > start { break }
                end += 1
            }
            if size > limit && text.statements > 0 && end == start + 1 { try split() }
            text.append(text: head)
            text.rows(rows[start..<end], body)
            text.append(text: tail)
            text.end()
            start = end
            if start < rows.count { try split() }
        }
    }

    /// Adds a statement that ends with a list of keys.
    mutating func list(_ keys: [Bytes], _ head: String) throws {
        for start in stride(from: 0, to: keys.count, by: 1_000) {
            let slice = keys[start..<min(keys.count, start + 1_000)]
            let size = head.utf8.count + slice.reduce(0) { $0 + $1.count * 2 + 3 }
            if text.bytes.count + size > limit && text.statements > 0 { try split() }
            text.append(text: head)
            text.append(list: slice)
            text.end()
        }
    }
}
