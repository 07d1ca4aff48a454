import Drover

/// Rows of `drover_current`, of history or of the log, one after the other: key, main, sub, created, version, lease,
/// length and, if asked for, value; then, of the log, the place of the key's previous event.
final class MySQLRows: FetchedRows {
    private let result: MySQLResult
    private let values: Bool
    /// The column of the previous event's revision.
    private let previous: Int?

    /// Deleted keys between them, and which of the rows are such.
    private let deleted: (result: MySQLResult, places: [Bool])?
    private var row = 0

    init(_ result: MySQLResult, values: Bool, ofLog: Bool = false) {
        self.result = result
        self.values = values
        previous = ofLog ? (values ? 8 : 7) : nil
        deleted = nil
    }

    /// Rows of `drover_current` and, of deleted keys, of `drover_tombstone` in their places among them; no more than `limit`.
    init(_ result: MySQLResult, values: Bool, deleted: MySQLResult?, limit: Int) {
        self.result = result
        self.values = values
        previous = nil
        if let deleted, deleted.rows > 0 {
            self.deleted = (deleted, Self.places(of: deleted, among: result, limit: limit))
        } else {
            self.deleted = nil
        }
    }

    /// Of each row of both together, in the order of keys, whether it is of `deleted`.
    private static func places(of deleted: MySQLResult, among living: MySQLResult, limit: Int) -> [Bool] {
        var places: [Bool] = []
        var (hasLiving, hasDeleted) = (living.next(), deleted.next())
        while places.count < limit && (hasLiving || hasDeleted) {
            let isDeleted = hasLiving && hasDeleted ? Bytes.precedes(deleted.bytes(0), living.bytes(0)) : hasDeleted
            places.append(isDeleted)
            if isDeleted { hasDeleted = deleted.next() } else { hasLiving = living.next() }
        }
        living.seek(0)
        deleted.seek(0)
        return places
    }

    var count: Int { deleted?.places.count ?? result.rows }

    func next() -> RowView? {
        if let deleted {
            guard row < deleted.places.count else { return nil }
            row += 1
            if deleted.places[row - 1] { return next(of: deleted.result) }
        }
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

    private func next(of deleted: MySQLResult) -> RowView? {
        guard deleted.next() else { return nil }
        return RowView(
            key: deleted.bytes(0),
            value: UnsafeRawBufferPointer(start: nil, count: 0),
            valueLength: 0,
            main: deleted.integer(1),
            sub: deleted.integer(2),
            createRevision: 0,
            version: 0,
            lease: 0
        )
    }

    func seek(_ row: Int) {
        guard let deleted else { return result.seek(row) }
        self.row = row
        let before = deleted.places[..<row].count { $0 }
        deleted.result.seek(before)
        result.seek(row - before)
    }
}
