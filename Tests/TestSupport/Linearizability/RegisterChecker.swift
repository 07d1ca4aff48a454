/// Whether the calls on one key can be put in an order in which each takes its effect at one moment between its beginning
/// and its end. It knows nothing of revisions.
///
/// Source: Wing and Gong, "Testing and Verifying Concurrent Objects", with the memory of visited states by Lowe,
/// "Testing for linearizability".
public struct RegisterChecker {
    /// A call as one key sees it.
    private struct Step {
        var began: UInt64
        /// When its effect must have come, if it has one.
        var ended: UInt64
        /// What it saw; nil where it did not look.
        var seen: String??
        /// What it wrote; nil where it wrote nothing.
        var written: String??
        /// Without knowledge of its outcome: what must have been there for it to write; nil where it did not ask.
        var condition: String??
        var mayBeMissing: Bool
    }

    private let steps: [Step]

    /// The calls of `history` that have to do with `key`.
    public init(_ history: [HistoryCall], key: String) {
        var observed: Set<String> = []
        for call in history {
            switch call.outcome {
            case .read(let values, _), .wrote(let values, _):
                for value in values.values { if let value { observed.insert(value) } }
            case .refused, .unknown: break
            }
        }
        steps = history.compactMap { call in
            guard call.keys.contains(key) else { return nil }
            switch call.outcome {
            case .refused: return nil
            case .read(let values, _):
                return Step(
                    began: call.began,
                    ended: call.ended,
                    seen: values[key],
                    written: nil,
                    condition: nil,
                    mayBeMissing: false
                )
            case .wrote(let values, _):
                return Step(
                    began: call.began,
                    ended: call.ended,
                    seen: values[key],
                    written: call.writes[key],
                    condition: nil,
                    mayBeMissing: false
                )
            case .unknown:
                guard let written = call.writes[key] else { return nil }
                // A value that nobody ever saw changes nothing for anybody.
                if let written, !observed.contains(written) { return nil }
                var condition: String?? = nil
                if case .swap(_, let from, _) = call.action { condition = .some(from) }
                return Step(
                    began: call.began,
                    ended: .max,
                    seen: nil,
                    written: .some(written),
                    condition: condition,
                    mayBeMissing: true
                )
            }
        }.sorted { $0.began < $1.began }
    }

    /// States looked at before the question is given up.
    private static let mostStates = 5_000_000

    /// Whether there is such an order; nil when it was given up.
    public func isLinearizable() -> Bool? {
        struct Visited: Hashable {
            var done: [UInt64]
            var value: String?
        }
        var visited: Set<Visited> = []
        var done = [UInt64](repeating: 0, count: (steps.count + 63) / 64)
        func isDone(_ i: Int) -> Bool { done[i >> 6] & (1 << UInt64(i & 63)) != 0 }
        var required = steps.lazy.filter { !$0.mayBeMissing }.count
        var value: String?
        var firstOpen = 0
        // The order so far, with what each step found, and where to look on when it is taken back.
        var taken: [(step: Int, before: String?, firstOpen: Int)] = []
        var next = 0
        while true {
            if required == 0 { return true }
            // A step may come next when no other one, that must have come, ended before it began.
            var limit = UInt64.max
            for i in firstOpen..<steps.count where !isDone(i) {
                if steps[i].began > limit { break }
                limit = min(limit, steps[i].ended)
            }
            var found: Int?
            var i = max(next, firstOpen)
            while i < steps.count && steps[i].began <= limit {
                defer { i += 1 }
                if isDone(i) { continue }
                let step = steps[i]
                if let seen = step.seen, seen != value { continue }
                if let condition = step.condition, condition != value { continue }
                let after = step.written ?? value
                done[i >> 6] |= 1 << UInt64(i & 63)
                if visited.insert(Visited(done: done, value: after)).inserted {
                    found = i
                    break
                }
                done[i >> 6] &= ~(1 << UInt64(i & 63))
            }
            if visited.count > Self.mostStates { return nil }
            if let found {
                taken.append((found, value, firstOpen))
                value = steps[found].written ?? value
                if !steps[found].mayBeMissing { required -= 1 }
                while firstOpen < steps.count && isDone(firstOpen) { firstOpen += 1 }
                next = 0
            } else {
                guard let last = taken.popLast() else { return false }
                done[last.step >> 6] &= ~(1 << UInt64(last.step & 63))
                if !steps[last.step].mayBeMissing { required += 1 }
                value = last.before
                firstOpen = last.firstOpen
                next = last.step + 1
            }
        }
    }
}
