extension DriverView {
    /// Reads a piece of the log: whole revisions, of which one that was compacted may have lost any of its events.
    ///
    /// - Parameters:
    ///   - last: the last revision that is wanted.
    ///   - isFull: asked between two revisions whether the piece ends there.
    /// - Returns: the revision that the next piece begins with; nil when there is none.
    func logPiece(
        from first: Int64,
        through last: Int64,
        values: Bool,
        isFull: () -> Bool,
        _ body: (RowView) throws -> Void
    ) throws -> Int64? {
        var next: Int64?
        var main: Int64 = 0
        try log(from: first, values: values) { row in
            if row.main > last { return false }
            if row.main != main && main != 0 && isFull() {
                next = row.main
                return false
            }
            main = row.main
            try body(row)
            return true
        }
        return next
    }
}
