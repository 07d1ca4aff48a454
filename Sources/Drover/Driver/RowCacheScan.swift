/// A range that is read with its values, some of which may be kept in a ``RowCache``.
///
/// While there is room every row of a database server is offered to it, and of an embedded database those that are missing
/// where most are kept. Once it is full only a few are, so that where the rows that are read are many more than it holds, it
/// costs them next to nothing; those that are read over and over come to be offered all the same.
public struct RowCacheScan {
    /// Of a thousand rows those that must be kept so that values are fetched apart.
    private static let most = 500
    /// Of so many rows one is offered once there is no room left: where most are kept, and where they are not. Of an embedded
    /// database's rows that come with their values one of `oneOfFew` is looked for, room or not.
    private static let (oneOfMost, oneOfFew) = (4, 16)
    /// Rows after which it is known whether values are fetched apart in vain.
    private static let vainRows = 512

    private let cache: RowCache
    /// Whether so many of the rows that ranges read are kept that values are better fetched apart from the rows.
    public let isApart: Bool
    private var stride: Int
    private var turn: Int
    private var rows = 0
    private var looked = 0
    private var kept = 0

    /// A range that is about to be read.
    init(_ cache: RowCache) {
        self.cache = cache
        isApart = cache.share >= Self.most
        stride =
            if isApart {
                cache.isFull ? Self.oneOfMost : 1
            } else {
                cache.isFull || cache.isEmbedded ? Self.oneOfFew : 1
            }
        turn = cache.turn % stride
    }

    /// Whether hardly any row is kept after all, of so many that it was better to have them come with their values.
    public var isVain: Bool { looked >= Self.vainRows && kept * 4 < looked }

    /// From here on rows come with their values.
    public mutating func leave() { stride = Self.oneOfFew }

    /// The value of a row that came without it, if it is kept.
    public mutating func value(of row: RowView) -> Bytes? {
        rows += 1
        looked += 1
        let value = cache.value(of: row)
        if value != nil { kept += 1 }
        return value
    }

    /// A row whose value was not kept, with it.
    public mutating func missed(_ row: RowView) {
        if isTurn() { cache.offer(row) }
    }

    /// A row that came with its value.
    public mutating func came(_ row: RowView) {
        rows += 1
        guard isTurn() else { return }
        looked += 1
        if cache.isEmbedded ? cache.value(of: row) != nil : cache.offer(row) { kept += 1 }
    }

    private mutating func isTurn() -> Bool {
        turn += 1
        if turn < stride { return false }
        turn = 0
        return true
    }

    /// The range was read, or as much of it as was wanted.
    public func end() { cache.note(rows: rows, looked: looked, kept: kept) }
}
