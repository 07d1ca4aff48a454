import Histogram
import Synchronization

/// What the lanes measure, in parts that threads do not share much.
///
/// A call's time counts when it began, or in an open loop was due, within the time that is measured, whenever it ended: a
/// server that stops before the end is not spared the calls that it left unanswered. Its rate is that of the calls so begun,
/// and in an open loop of those answered in the time, whenever they were due.
final class LoadRecorder: Sendable {
    /// One kind of call, as one part saw it.
    struct Series: Sendable {
        /// What takes longer than an hour counts as an hour.
        private static let longest: UInt64 = 3_600_000_000_000

        /// Nanoseconds.
        var times = Histogram<UInt64>(highestTrackableValue: longest, numberOfSignificantValueDigits: .three)
        /// Those that count for a rate.
        var calls: UInt64 = 0
        var bytes: UInt64 = 0
        var keys: UInt64 = 0
        /// By sixtieth of the time that is measured.
        var slots: [Slot] = []

        fileprivate mutating func record(_ time: UInt64, _ slot: Int) {
            times.record(min(time, Self.longest))
            slots[slot].calls += 1
            slots[slot].total += time
            slots[slot].worst = max(slots[slot].worst, time)
        }
    }

    /// A part of the time that is measured.
    struct Slot: Sendable {
        var calls: UInt64 = 0
        var total: UInt64 = 0
        var worst: UInt64 = 0
    }

    struct Part: Sendable {
        var series: [Series?] = Array(repeating: nil, count: OperationKind.allCases.count)
        var errors: [String: Int] = [:]

        fileprivate mutating func open(_ kind: OperationKind) {
            if series[kind.rawValue] == nil {
                series[kind.rawValue] = Series(slots: Array(repeating: Slot(), count: slotCount))
            }
        }
    }

    /// Kinds of errors kept apart; further ones are counted together.
    private static let mostErrors = 20
    static let slotCount = 60

    private final class Shard: Sendable {
        let part = Mutex(Part())
    }

    private let shards: [Shard]
    private let beginning = Atomic<UInt64>(.max)
    private let ending = Atomic<UInt64>(.max)
    /// Calls so far, for who watches.
    let made = Atomic<Int>(0)
    /// Events that watches were told of within the time.
    let told = Atomic<Int>(0)

    /// Lanes that ended before the time did, since their connection had.
    let lanesLost = Atomic<Int>(0)

    private let isClosed = Atomic<Bool>(false)
    private let shown = Mutex<LoadRecorder?>(nil)

    /// What whoever watches is shown meanwhile: a recorder of a part of the time, which is taken in at the end.
    func show(_ recorder: LoadRecorder?) { shown.withLock { $0 = recorder } }

    /// The recorder that measures now.
    var current: LoadRecorder { shown.withLock { $0 } ?? self }

    /// Nanoseconds behind the end within which calls that were due before it are still made.
    static let grace: UInt64 = 10_000_000_000

    /// Whether calls have their own times, so that what is answered behind the end was not answered at that rate. In a
    /// closed loop as many reach over the end as over the beginning.
    private let isOpenLoop: Bool

    /// One whose time is not known yet: nothing counts until it is.
    init(parts: Int, isOpenLoop: Bool = false) {
        self.isOpenLoop = isOpenLoop
        shards = (0..<max(1, parts)).map { _ in Shard() }
    }

    convenience init(parts: Int, begin: UInt64, end: UInt64) {
        self.init(parts: parts)
        open(from: begin, to: end)
    }

    /// Says which time counts. Nanoseconds of ``Clock``.
    func open(from begin: UInt64, to end: UInt64) {
        ending.store(end, ordering: .relaxed)
        beginning.store(begin, ordering: .relaxed)
    }

    var begin: UInt64 { beginning.load(ordering: .relaxed) }
    var end: UInt64 { ending.load(ordering: .relaxed) }

    private func slot(of moment: UInt64) -> Int {
        let (begin, end) = (begin, end)
        let share = Double(moment - begin) / Double(max(1, end - begin))
        return share < 1 ? Int(share * Double(Self.slotCount)) : Self.slotCount - 1
    }

    func record(_ kind: OperationKind, lane: Int, began: UInt64, ended: UInt64, bytes: Int = 0, keys: Int = 0) {
        let (begin, end) = (begin, end)
        if isClosed.load(ordering: .relaxed) { return }
        let isTimed = began >= begin && began < end
        // A target that is behind its rate is busy with what was due before: that is what it makes.
        let counts = isOpenLoop ? ended >= begin && ended <= end : isTimed
        guard isTimed || counts else { return }
        if counts { made.wrappingAdd(1, ordering: .relaxed) }
        let slot = slot(of: ended)
        shards[lane % shards.count].part.withLock { part in
            part.open(kind)
            if isTimed { part.series[kind.rawValue]!.record(ended &- began, slot) }
            guard counts else { return }
            part.series[kind.rawValue]!.calls += 1
            part.series[kind.rawValue]!.bytes += UInt64(bytes)
            part.series[kind.rawValue]!.keys += UInt64(keys)
        }
    }

    /// Events that a watch was told of at one moment; of those that began at 0 or later than that no time is known.
    ///
    /// - Parameter events: how many there were, those without a moment too.
    func told(_ moments: [UInt64], events: Int, lane: Int, at moment: UInt64) {
        let (begin, end) = (begin, end)
        guard moment >= begin, events > 0 else { return }
        if moment < end { told.wrappingAdd(events, ordering: .relaxed) }
        if moments.isEmpty { return }
        let slot = slot(of: moment)
        shards[lane % shards.count].part.withLock { part in
            part.open(.delivery)
            for began in moments where began >= begin && began > 0 && began <= moment && began < end {
                part.series[OperationKind.delivery.rawValue]!.record(moment &- began, slot)
                // What comes behind the end was not delivered at that rate.
                if moment < end { part.series[OperationKind.delivery.rawValue]!.calls += 1 }
            }
        }
    }

    /// Calls that were not answered, or with an error; those of the warm-up too.
    func fail(_ text: String, lane: Int, began: UInt64, count: Int = 1) {
        if began >= end || count == 0 || isClosed.load(ordering: .relaxed) { return }
        shards[lane % shards.count].part.withLock { part in
            let known = part.errors[text] != nil || part.errors.count < Self.mostErrors
            part.errors[known ? text : "further errors", default: 0] += count
        }
    }

    /// Nothing counts any more: the workload itself ends what is still waited for.
    func close() { isClosed.store(true, ordering: .relaxed) }

    /// Calls that were due within the time, and for which the lane was not free even behind its end.
    func leave(_ schedule: Schedule, lane: Int) {
        fail(
            "it was due, and earlier calls kept it from being made",
            lane: lane,
            began: 0,
            count: schedule.left(until: end)
        )
    }

    /// Takes over what another one recorded in a part of this one's time.
    func absorb(_ other: LoadRecorder) {
        var seen = other.total()
        // Its slots are shorter: each falls into one of these.
        for index in seen.series.indices where seen.series[index] != nil {
            var slots = Array(repeating: Slot(), count: Self.slotCount)
            for (i, slot) in seen.series[index]!.slots.enumerated() {
                let moment = other.begin + (other.end - other.begin) / UInt64(Self.slotCount) * UInt64(i)
                let place = self.slot(of: moment)
                slots[place].calls += slot.calls
                slots[place].total += slot.total
                slots[place].worst = max(slots[place].worst, slot.worst)
            }
            seen.series[index]!.slots = slots
        }
        made.wrappingAdd(other.made.load(ordering: .relaxed), ordering: .relaxed)
        lanesLost.wrappingAdd(other.lanesLost.load(ordering: .relaxed), ordering: .relaxed)
        shards[0].part.withLock { part in
            Self.add(seen, to: &part)
        }
    }

    /// Everything until now, of all parts.
    func total() -> Part {
        var total = Part()
        for shard in shards { Self.add(shard.part.withLock { $0 }, to: &total) }
        return total
    }

    private static func add(_ seen: Part, to total: inout Part) {
        for (index, series) in seen.series.enumerated() {
            guard let series else { continue }
            guard total.series[index] != nil else {
                total.series[index] = series
                continue
            }
            total.series[index]!.times.add(series.times)
            total.series[index]!.calls += series.calls
            total.series[index]!.bytes += series.bytes
            total.series[index]!.keys += series.keys
            for i in series.slots.indices {
                total.series[index]!.slots[i].calls += series.slots[i].calls
                total.series[index]!.slots[i].total += series.slots[i].total
                total.series[index]!.slots[i].worst = max(total.series[index]!.slots[i].worst, series.slots[i].worst)
            }
        }
        total.errors.merge(seen.errors) { $0 + $1 }
    }
}
