import Synchronization

/// Rows of the log that were committed lately, or read more than once, for the readers of one driver.
///
/// A row of the log never changes, so that nothing here is ever out of date: a reader asks by the place that its snapshot
/// names. What is read once leaves a mark alone, and is kept when it is read again: a list of the whole store drives
/// nothing out. What is committed is kept at once where there are lists. Of what is kept, what was not asked for since the
/// last look at it makes room. See ``RowCacheScan``.
public final class RowCache: Sendable {
    /// Bytes that a driver keeps by default.
    public static let defaultBytes = 16 << 20
    /// What a row takes beside its value, about.
    private static let overhead = 160
    /// Enough that readers on all cores seldom wait for one another.
    private static let shardCount = 32
    /// Marks of rows that were read once.
    private static let markCount = 1 << 16
    /// Of so many parts of what is kept a row is one at the most.
    private static let parts = 128
    /// Rows that are kept as they are committed after the last one was read, at the most.
    private static let mostAllowance = 1 << 16
    /// Looks that say as much of how many rows are here as any more.
    private static let manyLooks = 32
    /// Ranges of fewer rows are joined to their values whatever is kept.
    private static let fewRows = 32

    let isEmbedded: Bool
    private let limit: Int
    private let longest: Int
    private let shards: [Shard]
    private let marks: Marks
    /// Millionths.
    private let recent = Atomic<Int>(0)
    private let hasBeenFull = Atomic<Bool>(false)
    private let rowsRead = Atomic<Int>(0)
    private let rowsKept = Atomic<Int>(0)
    /// Rows that may be kept as they are committed, one for each that was read.
    private let allowance = Atomic<Int>(0)

    /// - Parameters:
    ///   - bytes: what it may hold; 0 keeps nothing.
    ///   - isEmbedded: the database is in this process: rows that come with their values are not copied, and only what is
    ///     committed, and what is missing beside it, is kept.
    public init(bytes: Int = RowCache.defaultBytes, isEmbedded: Bool = false) {
        self.isEmbedded = isEmbedded
        limit = max(0, bytes) / Self.shardCount
        longest = limit * Self.shardCount / Self.parts
        shards = (0..<Self.shardCount).map { _ in Shard() }
        marks = Marks(bytes > 0 ? Self.markCount : 0)
    }

    /// Of a thousand rows that ranges have read lately, those that were here.
    var share: Int { recent.load(ordering: .relaxed) / 1_000 }

    /// Whether something was turned away or had to go for want of room.
    var isFull: Bool { hasBeenFull.load(ordering: .relaxed) }

    /// A range has read rows, some of which were looked for, and of those some were here.
    func note(rows: Int, looked: Int, kept: Int) {
        rowsRead.add(rows, ordering: .relaxed)
        let room = Self.mostAllowance - allowance.load(ordering: .relaxed)
        if room > 0 { allowance.add(min(rows, room), ordering: .relaxed) }
        if looked == 0 { return }
        rowsKept.add(kept * rows / looked, ordering: .relaxed)
        // Short ranges and those of which few rows are looked for say little each, and something together.
        let weight = min(looked, Self.manyLooks)
        let known = recent.load(ordering: .relaxed)
        recent.store(known + (kept * 1_000_000 / looked - known) * weight / (4 * Self.manyLooks), ordering: .relaxed)
    }

    /// How a range is read whose values may be kept; nil of one that is read without values, or has too few rows to gain by it.
    ///
    /// - Parameter expecting: rows that are wanted at the most.
    public func scan(_ range: KeyRange, values: Bool, expecting: Int) -> RowCacheScan? {
        values && !range.isSingle && expecting >= Self.fewRows ? RowCacheScan(self) : nil
    }

    /// Where the next range begins with those of its rows that are looked at, each of its rows in turn.
    var turn: Int { rowsRead.load(ordering: .relaxed) }

    /// The value of the row there, if it is kept and of that version and length.
    func value(of row: RowView) -> Bytes? {
        if limit == 0 { return nil }
        let place = LogPosition(main: row.main, sub: row.sub)
        let hash = Self.hash(place)
        let found = shards[hash & (Self.shardCount - 1)].state.withLock { $0.value(at: place, hash, row.version) }
        return found?.count == row.valueLength ? found : nil
    }

    /// Keeps the row's value if it was offered before. Returns whether it was kept already.
    @discardableResult
    func offer(_ row: RowView) -> Bool {
        let size = row.value.count + Self.overhead
        // One that is too long to come with its row has no value here.
        if limit == 0 || size > longest || row.version == 0 || row.value.count != row.valueLength { return false }
        let place = LogPosition(main: row.main, sub: row.sub)
        let hash = Self.hash(place)
        // What was committed is there without having been read.
        let isMarked = marks.sees(hash)
        return shards[hash & (Self.shardCount - 1)].state.withLock { state in
            if !isMarked { return state.value(at: place, hash, row.version)?.count == row.valueLength }
            if !isFull && state.bytes + size > limit { hasBeenFull.store(true, ordering: .relaxed) }
            return state.offer(place, hash, row, size: size, limit: limit)
        }
    }

    /// Keeps what was committed, which lists are likely to read next, while they read at least as many rows as are committed:
    /// where nobody lists, this costs nothing. What a kept row takes the place of goes: no list comes by it any more.
    func keep(_ events: [ChangeSet.LogEvent]) {
        let count = min(events.count, allowance.load(ordering: .relaxed))
        if limit == 0 || count <= 0 { return }
        allowance.subtract(count, ordering: .relaxed)
        for event in events.suffix(count) {
            if event.previousMain != 0 {
                let previous = LogPosition(main: event.previousMain, sub: event.previousSub)
                let hash = Self.hash(previous)
                shards[hash & (Self.shardCount - 1)].state.withLock { $0.remove(previous, hash) }
            }
            let size = event.value.count + Self.overhead
            if size > longest || event.version == 0 { continue }
            let place = LogPosition(main: event.main, sub: event.sub)
            let hash = Self.hash(place)
            shards[hash & (Self.shardCount - 1)].state.withLock { state in
                if state.bytes + size > limit {
                    if !isFull { hasBeenFull.store(true, ordering: .relaxed) }
                } else if isFull && state.bytes < limit / 2 {
                    hasBeenFull.store(false, ordering: .relaxed)
                }
                state.keep(place, hash, event, size: size, limit: limit)
            }
        }
    }

    /// Forgets all.
    public func removeAll() {
        for shard in shards { shard.state.withLock { $0 = RowCacheShard() } }
        hasBeenFull.store(false, ordering: .relaxed)
    }

    /// Rows that ranges have read so far, those of them that were here, and the bytes that are held, about.
    public var totals: (rows: Int, kept: Int, bytes: Int) {
        (rowsRead.load(ordering: .relaxed), rowsKept.load(ordering: .relaxed), bytes)
    }

    /// Bytes that are held, about.
    var bytes: Int { shards.reduce(0) { sum, shard in sum + shard.state.withLock { $0.bytes } } }

    private static func hash(_ place: LogPosition) -> Int {
        var bits = UInt64(bitPattern: place.main) &* 0x9E37_79B9_7F4A_7C15 ^ UInt64(bitPattern: place.sub)
        bits = (bits ^ bits >> 29) &* 0xBF58_476D_1CE4_E5B9
        return Int(truncatingIfNeeded: (bits ^ bits >> 32) >> 1)
    }

    private final class Shard: Sendable {
        let state = Mutex(RowCacheShard())
    }

    /// A mark for each of many rows, in a place that others may have as well.
    private final class Marks: Sendable {
        private nonisolated(unsafe) let marks: UnsafeMutableBufferPointer<Atomic<UInt32>>

        init(_ count: Int) {
            marks = .allocate(capacity: count)
            for place in 0..<count { marks.initializeElement(at: place, to: Atomic(0)) }
        }

        deinit { marks.deallocate() }

        /// Whether the mark of a row is there; it is from now on.
        func sees(_ hash: Int) -> Bool {
            let mark = UInt32(truncatingIfNeeded: hash >> 16) | 1
            let place = hash & (marks.count - 1)
            if marks[place].load(ordering: .relaxed) == mark { return true }
            marks[place].store(mark, ordering: .relaxed)
            return false
        }
    }
}
