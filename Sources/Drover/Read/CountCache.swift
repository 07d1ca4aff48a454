import DequeModule
import Synchronization

/// Counts of ranges, exact for the revision they are asked for, without walking the range for every page.
///
/// Three sources: a page in key order leaves the count of its continuation behind, a range counted lately is moved along
/// by the creations and deletions that were committed since, and of any other only the ends are walked, between which the
/// blocks of ``CountIndex`` are counted. A count is used only for the very revision it holds for. This instance's own
/// commits are recorded as they happen; what others commit to a shared database is read from the log, without values, by
/// the first count that needs it.
final class CountCache: Sendable {
    struct Entry {
        var count: Int64
        var revision: Int64
        var used: UInt64
        /// Whether it is of what is left after a page, and so of no use once the next page was read.
        var isRest = false
    }

    struct Continuation: Hashable {
        var range: KeyRange
        var revision: Int64
    }

    struct State {
        var measures: [ListMeasure.Subject: ListMeasure] = [:]
        var measureOrder: Deque<ListMeasure.Subject> = []
        var entries: [KeyRange: Entry] = [:]
        var continuations: [Continuation: Int64] = [:]
        var continuationOrder: Deque<Continuation> = []
        var deltas: Deque<CountDelta> = []
        /// Bytes of their keys.
        var deltaBytes = 0
        /// Every creation and deletion after this revision, through the other, is in `deltas`.
        var completeAfter: Int64
        var completeThrough: Int64
        var clock: UInt64 = 0
        var index: CountIndex
        var isSurveying = false
        /// By the monotonic clock; none begins before.
        var nextSurvey: Int64 = 0
    }

    let state: Mutex<State>
    let limits: Limits
    private let walks = Atomic<Int>(0)

    /// Ranges that were counted key by key.
    var walkCount: Int { walks.load(ordering: .relaxed) }

    /// A range is about to be counted key by key.
    func willWalk() { walks.add(1, ordering: .relaxed) }

    init(limits: Limits, revision: Int64) {
        self.limits = limits
        let index = CountIndex(revision: revision, limits: limits)
        self.state = Mutex(State(completeAfter: revision, completeThrough: revision, index: index))
    }

    /// A batch of this instance was committed. What is not known between it and what is known stays a gap.
    ///
    /// - Returns: whether keys are to be surveyed.
    func didCommit(_ changes: ChangeSet) -> Bool {
        state.withLock { state in
            guard changes.base.revision == state.completeThrough else { return false }
            for event in changes.events { Self.add(event.key, event.main, event.version, &state) }
            finish(&state, through: changes.revision)
            return state.index.isUneven && !state.isSurveying
        }
    }

    /// The first revision whose changes are not known, when those up to `revision` would make the count of `range`
    /// known; nil when they would not help.
    func gap(before revision: Int64, of range: KeyRange) -> Int64? {
        state.withLock { state in
            guard state.completeThrough < revision else { return nil }
            let isCounted = state.entries[range].map { $0.revision >= state.completeAfter } ?? false
            return isCounted || state.index.parts(of: range) != nil ? state.completeThrough + 1 : nil
        }
    }

    /// Changes that were read from the log: those of the revisions from `first` through `last`, or none of them when
    /// they were too many.
    func fill(from first: Int64, through last: Int64, _ changes: [(key: Bytes, main: Int64, version: Int64)]?) {
        state.withLock { state in
            guard first == state.completeThrough + 1, last >= first else { return }
            guard let changes else {
                state.deltas.removeAll()
                state.deltaBytes = 0
                state.completeAfter = last
                state.completeThrough = last
                loseBlocks(&state)
                return
            }
            for change in changes { Self.add(change.key, change.main, change.version, &state) }
            finish(&state, through: last)
        }
    }

    /// Reads what others have committed since the counts were last moved along, from the snapshot that `meta` is of.
    func fill(from first: Int64, _ meta: StoreMeta, _ reader: any DriverReader) throws {
        // Beyond so many a fresh count over `current` is the cheaper way.
        let most = 10_000
        var changes: [(key: Bytes, main: Int64, version: Int64)]? = []
        // Of the mark's own revision, too, what that revision replaced may be gone.
        if first <= meta.purged || meta.revision - first > most {
            changes = nil
        } else {
            var rows = 0
            try reader.log(from: first, values: false) { row in
                if row.main > meta.revision { return false }
                rows += 1
                if rows > most {
                    changes = nil
                    return false
                }
                if row.version <= 1 { changes?.append((Bytes(row.key), row.main, row.version)) }
                return true
            }
        }
        fill(from: first, through: meta.revision, changes)
    }

    private static func add(_ key: Bytes, _ main: Int64, _ version: Int64, _ state: inout State) {
        if version > 1 { return }
        state.deltas.append(CountDelta(revision: main, key: key, change: version == 1 ? 1 : -1))
        state.deltaBytes += key.count
    }

    private func finish(_ state: inout State, through revision: Int64) {
        state.completeThrough = revision
        moveBlocks(&state)
        while state.deltas.count > limits.countDeltas || state.deltaBytes > limits.countDeltaBytes {
            let dropped = state.deltas.removeFirst()
            state.deltaBytes -= dropped.key.count
            state.completeAfter = max(state.completeAfter, dropped.revision)
        }
    }

    /// The count of `range` at the newest revision of a snapshot, or nil when it is not known.
    func count(_ range: KeyRange, at revision: Int64) -> Int64? {
        state.withLock { state in
            if let count = state.continuations[Continuation(range: range, revision: revision)] { return count }
            guard var entry = state.entries[range] else { return nil }
            state.clock += 1
            if entry.revision != revision {
                let low = min(entry.revision, revision)
                let high = max(entry.revision, revision)
                guard low >= state.completeAfter, high <= state.completeThrough else { return nil }
                var change: Int64 = 0
                let first = Self.firstDelta(after: low, state.deltas)
                // Beyond this many a fresh count over `current` is the cheaper way.
                if state.deltas.count - first > 20_000 { return nil }
                for i in first..<state.deltas.count {
                    let delta = state.deltas[i]
                    if delta.revision > high { break }
                    if range.contains(delta.key) { change += delta.change }
                }
                if revision < entry.revision { return entry.count - change }
                entry.count += change
                entry.revision = revision
            }
            entry.used = state.clock
            state.entries[range] = entry
            return entry.count
        }
    }

    static func firstDelta(after revision: Int64, _ deltas: Deque<CountDelta>) -> Int {
        deltas.partitioningIndex(where: { $0.revision > revision })
    }

    /// A range was counted in a snapshot.
    /// - Parameter page: the range whose page has left this one.
    func learn(_ range: KeyRange, at revision: Int64, count: Int64, after page: KeyRange? = nil) {
        if range.byteCount > limits.countedRangeBytes { return }
        state.withLock { state in
            if let page, state.entries[page]?.isRest == true { state.entries[page] = nil }
            if let known = state.entries[range], known.revision > revision { return }
            state.clock += 1
            if state.entries.count >= limits.countedRanges, state.entries[range] == nil,
                let oldest = state.entries.min(by: { $0.value.used < $1.value.used })
            {
                state.entries[oldest.key] = nil
            }
            state.entries[range] = Entry(count: count, revision: revision, used: state.clock, isRest: page != nil)
        }
    }

    /// A page of `range` was read at the newest revision, and `rest` is left: its count is moved along by later changes,
    /// for a client that reads its next page at a later revision.
    func move(_ range: KeyRange, to rest: KeyRange, at revision: Int64, count: Int64) {
        learn(rest, at: revision, count: count, after: range)
    }

    /// The count of what is left of a range after a page, at the revision the page was read at.
    func learnContinuation(_ range: KeyRange, at revision: Int64, count: Int64) {
        if range.byteCount > limits.countedRangeBytes { return }
        let key = Continuation(range: range, revision: revision)
        state.withLock { state in
            if state.continuations.updateValue(count, forKey: key) == nil { state.continuationOrder.append(key) }
            while state.continuationOrder.count > limits.countedRanges * 16 {
                state.continuations[state.continuationOrder.removeFirst()] = nil
            }
        }
    }

    /// The count of a continuation at an older revision, or nil when it is not known.
    func continuation(_ range: KeyRange, at revision: Int64) -> Int64? {
        state.withLock { $0.continuations[Continuation(range: range, revision: revision)] }
    }

    /// What a long list at a revision comes to, when it was measured before. A list at a revision never changes, so
    /// many clients that list the same at once have it measured once.
    func measure(of subject: ListMeasure.Subject) -> ListMeasure? {
        state.withLock { $0.measures[subject] }
    }

    /// A long list was measured.
    func learn(_ measure: ListMeasure, of subject: ListMeasure.Subject) {
        if subject.range.byteCount > limits.countedRangeBytes { return }
        state.withLock { state in
            if state.measures.updateValue(measure, forKey: subject) == nil { state.measureOrder.append(subject) }
            while state.measureOrder.count > limits.countedRanges {
                state.measures[state.measureOrder.removeFirst()] = nil
            }
        }
    }
}
