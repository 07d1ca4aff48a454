/// How far a sweep of a shared database is.
public struct SweepCursor: Sendable {
    /// How often the database is told, in nanoseconds: another instance takes over a sweep that has stood still for fifteen
    /// seconds.
    private static let tellNanoseconds: Int64 = 5_000_000_000

    /// Where the last step ended; nil while no sweep is going on.
    private var place: LogPosition?
    /// The compaction mark up to which rows are being deleted.
    private var mark: Int64 = 0
    private var toldAt: Int64 = 0

    /// No sweep is going on.
    public init() {}

    /// The place after which the next step begins.
    public mutating func next(_ meta: StoreMeta) -> LogPosition {
        if let place, place.main >= meta.swept {
            // Deletions at the mark before were spared then and go now, also those that the sweep has passed.
            if mark < meta.compacted && place.main >= mark { self.place = LogPosition(main: mark, sub: -1) }
        } else {
            // Or another instance has swept since, and is further.
            place = LogPosition(main: meta.swept, sub: -1)
            // The first step is told at once: others have seen it stand still for as long as watches were waited for.
            toldAt = .min / 2
        }
        mark = meta.compacted
        return place!
    }

    /// A step has ended.
    ///
    /// - Parameter last: the last row it has seen; its revision may have more.
    /// - Returns: the revision that the database is to be told as swept; nil while it need not be told.
    public mutating func advance(to last: LogPosition) -> Int64? {
        place = last
        let now = Monotonic.now()
        if now - toldAt < Self.tellNanoseconds { return nil }
        toldAt = now
        return last.main - 1
    }

    /// The sweep is over, whoever did it.
    public mutating func end() { place = nil }
}
