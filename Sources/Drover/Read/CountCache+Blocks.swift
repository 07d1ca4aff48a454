import DequeModule

/// Counts that are put together from the blocks of the index.
extension CountCache {
    /// How long after changes that were not seen the next survey may begin, in nanoseconds: where others write faster than
    /// counts are asked for, each survey would be for one count.
    private static let surveyPause: Int64 = 5_000_000_000

    /// Moves the index along when it is far behind, so that no commit has much to move and no change is dropped that it
    /// has not seen.
    func moveBlocks(_ state: inout State) {
        guard let newest = state.deltas.last, newest.revision > state.index.revision else {
            state.index.revision = state.completeThrough
            return
        }
        let first = Self.firstDelta(after: state.index.revision, state.deltas)
        let isDropping = state.deltas.count > limits.countDeltas || state.deltaBytes > limits.countDeltaBytes
        if state.deltas.count - first >= 256 || isDropping {
            moveBlocks(to: state.completeThrough, &state)
        }
    }

    private func moveBlocks(to revision: Int64, _ state: inout State) {
        guard revision > state.index.revision else { return }
        for i in Self.firstDelta(after: state.index.revision, state.deltas)..<state.deltas.count {
            let delta = state.deltas[i]
            if delta.revision > revision { break }
            state.index.apply(delta.change, to: delta.key)
        }
        state.index.revision = revision
    }

    /// Changes were not seen: every block is to be surveyed again.
    func loseBlocks(_ state: inout State) {
        state.index.reset(revision: state.completeThrough)
        state.nextSurvey = MonotonicClock.nanoseconds() + Self.surveyPause
    }

    /// What the index knows of a range's count at the newest revision of a snapshot, and what is to be walked in it
    /// besides; nil when it knows nothing.
    func parts(of range: KeyRange, at revision: Int64) -> CountIndex.Parts? {
        state.withLock { state -> CountIndex.Parts? in
            guard revision >= state.completeAfter, revision <= state.completeThrough else { return nil }
            moveBlocks(to: revision, &state)
            guard var parts = state.index.parts(of: range) else { return nil }
            if revision < state.index.revision {
                let first = Self.firstDelta(after: revision, state.deltas)
                let last = Self.firstDelta(after: state.index.revision, state.deltas)
                parts.counted -= state.index.change(in: range, of: state.deltas[first..<last])
            }
            return parts
        }
    }

    /// What is to be surveyed next; nil when nothing is, or somebody does it already. To be ended by ``endSurvey()``.
    func beginSurvey() -> CountIndex.Gap? {
        state.withLock { state in
            guard !state.isSurveying, state.index.isUneven, MonotonicClock.nanoseconds() >= state.nextSurvey,
                let gap = state.index.nextGap()
            else { return nil }
            state.isSurveying = true
            return gap
        }
    }

    /// The survey that was begun is done, or given up.
    func endSurvey() {
        state.withLock { $0.isSurveying = false }
    }

    /// Whether every creation and deletion after `revision` is known, as far as any has been seen.
    func knows(after revision: Int64) -> Bool {
        state.withLock { $0.completeAfter <= revision }
    }

    /// How many keys of a range more were created than deleted after a revision, through another; nil when that is not
    /// known.
    func change(of range: KeyRange, after first: Int64, through last: Int64) -> Int64? {
        state.withLock { state -> Int64? in
            guard first >= state.completeAfter, last <= state.completeThrough else { return nil }
            let deltas = Self.firstDelta(after: first, state.deltas)..<Self.firstDelta(after: last, state.deltas)
            return state.deltas[deltas].reduce(0) { $0 + (range.contains($1.key) ? $1.change : 0) }
        }
    }

    /// The first revision whose changes are not known, when it is not after `revision`.
    func unseen(before revision: Int64) -> Int64? {
        state.withLock { $0.completeThrough < revision ? $0.completeThrough + 1 : nil }
    }

    /// A block was surveyed in a snapshot; false when what was found cannot be moved along to the revision of the other
    /// blocks, or the block is no more.
    func install(_ surveyed: [CountIndex.Block], at revision: Int64, in gap: CountIndex.Gap) -> Bool {
        state.withLock { state in
            guard revision >= state.completeAfter, revision <= state.completeThrough else { return false }
            moveBlocks(to: revision, &state)
            var found = CountIndex(surveyed, revision: revision, limits: limits)
            for i in Self.firstDelta(after: revision, state.deltas)..<state.deltas.count {
                let delta = state.deltas[i]
                if delta.revision > state.index.revision { break }
                if !Bytes.precedes(delta.key, gap.lower), gap.upper.map({ Bytes.precedes(delta.key, $0) }) ?? true {
                    found.apply(delta.change, to: delta.key)
                }
            }
            return state.index.install(found.blocks, in: gap)
        }
    }
}
