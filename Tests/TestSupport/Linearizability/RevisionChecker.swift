/// Whether a history is the one that its revisions tell: every write has one of its own, in real time's order, nothing is
/// there that nobody wrote or twice, and every answer is what the state at its revision gives.
public struct RevisionChecker {
    /// A change that a watch over everything was told of.
    public struct Change: Sendable, Hashable {
        public var revision: Int64
        public var key: String
        /// Nil took the key away.
        public var value: String?

        public init(revision: Int64, key: String, value: String?) {
            self.revision = revision
            self.key = key
            self.value = value
        }
    }

    private let history: [HistoryCall]
    private let changes: [Change]

    /// - Parameter changes: all of them from the first revision on, in order.
    public init(_ history: [HistoryCall], changes: [Change]) {
        self.history = history
        self.changes = changes
    }

    /// What is wrong, in words; nothing where all is right.
    public func violations() -> [String] {
        order() + duplicates() + writes() + reads() + realTime()
    }

    private func order() -> [String] {
        zip(changes, changes.dropFirst()).compactMap { a, b in
            b.revision < a.revision || b.revision > a.revision + 1
                ? "the watch jumped from revision \(a.revision) to \(b.revision)" : nil
        }
    }

    /// Values are written once each, so one that comes twice was written twice.
    private func duplicates() -> [String] {
        var seen: Set<String> = []
        return changes.compactMap { change in
            guard let value = change.value, !seen.insert("\(change.key)=\(value)").inserted else { return nil }
            return "\(change.key) was given \(value) twice, again at \(change.revision)"
        }
    }

    private func writes() -> [String] {
        var wrong: [String] = []
        let byRevision = Dictionary(grouping: changes, by: \.revision)
        let byValue = Dictionary(
            changes.compactMap { change in change.value.map { ("\(change.key)=\($0)", change) } },
            uniquingKeysWith: { first, _ in first }
        )
        var owned: Set<Int64> = []
        var openDeletions: [String: Int] = [:]
        var openValues: Set<String> = []
        for call in history {
            switch call.outcome {
            case .wrote(_, let revision):
                if !owned.insert(revision).inserted { wrong.append("revision \(revision) was given to two calls") }
                let there = Set(byRevision[revision] ?? [])
                let told = Set(call.writes.map { Change(revision: revision, key: $0.key, value: $0.value) })
                if there != told { wrong.append("revision \(revision) holds \(there), the call wrote \(told)") }
            case .refused:
                for case (let key, let value?) in call.writes where byValue["\(key)=\(value)"] != nil {
                    wrong.append("\(key)=\(value) was refused and is there")
                }
            case .unknown:
                for (key, value) in call.writes {
                    if let value { openValues.insert("\(key)=\(value)") } else { openDeletions[key, default: 0] += 1 }
                }
            case .read: break
            }
        }
        for change in changes where !owned.contains(change.revision) {
            if let value = change.value {
                if !openValues.contains("\(change.key)=\(value)") {
                    wrong.append("nobody wrote \(change.key)=\(value) at \(change.revision)")
                }
            } else {
                openDeletions[change.key, default: 0] -= 1
                if openDeletions[change.key]! < 0 {
                    wrong.append("nobody deleted \(change.key) at \(change.revision)")
                }
            }
        }
        return wrong
    }

    /// The value of a key at a revision.
    private func states() -> (_ key: String, _ revision: Int64) -> String? {
        let byKey = Dictionary(grouping: changes, by: \.key)
        return { key, revision in
            guard let list = byKey[key] else { return nil }
            var (low, high) = (0, list.count)
            while low < high {
                let middle = (low + high) / 2
                if list[middle].revision <= revision { low = middle + 1 } else { high = middle }
            }
            return low == 0 ? nil : list[low - 1].value
        }
    }

    private func reads() -> [String] {
        let value = states()
        var wrong: [String] = []
        for call in history {
            let (values, revision): ([String: String?], Int64)
            switch call.outcome {
            case .read(let seen, let at): (values, revision) = (seen, at)
            // What a write saw is the state before it.
            case .wrote(let seen, let at): (values, revision) = (seen, at - 1)
            case .refused, .unknown: continue
            }
            for (key, seen) in values where value(key, revision) != seen {
                wrong.append(
                    "\(key) was read as \(seen ?? "nothing") at \(revision), and was \(value(key, revision) ?? "nothing")"
                )
            }
            if case .swap(let key, let from, _) = call.action {
                let found = value(key, revision)
                if case .wrote = call.outcome, found != from { wrong.append("\(key) was swapped from another value") }
                if case .read = call.outcome, found == from { wrong.append("\(key) was not swapped at \(revision)") }
            }
        }
        return wrong
    }

    /// A call that begins after another has ended is no earlier than it.
    private func realTime() -> [String] {
        let answered = history.filter { $0.revision != nil }
        let byEnd = answered.sorted { $0.ended < $1.ended }
        var wrong: [String] = []
        var latest: Int64 = 0
        var next = 0
        for call in answered.sorted(by: { $0.began < $1.began }) {
            while next < byEnd.count && byEnd[next].ended < call.began {
                latest = max(latest, byEnd[next].revision!)
                next += 1
            }
            let revision = call.revision!
            var isWrite = false
            if case .wrote = call.outcome { isWrite = true }
            if revision < latest || isWrite && revision == latest {
                wrong.append("\(call.action) was answered at \(revision) after an answer at \(latest)")
            }
        }
        return wrong
    }
}
