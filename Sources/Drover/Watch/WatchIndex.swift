/// Finds the watches of a key: by hash for watches on one key, by interval tree for watches on ranges.
///
/// Watches on the same range share one node, so that a thousand watches of one prefix cost one lookup.
///
/// A class, since watches leave it while it is looked through for the events of a dispatch: a copy of a million ranges would be
/// made each time.
final class WatchIndex {
    /// The watches of one range.
    final class Group {
        private(set) var watchers: [ObjectIdentifier: Watcher] = [:]
        /// How many of them want events with previous values.
        private(set) var previousCount = 0
        /// Events found in the present dispatch, for all of `alike`.
        var pending: [SharedEvent] = []
        /// The watches that want every event of the present dispatch.
        private(set) var alike: [Watcher] = []
        /// Those that want some of them.
        private(set) var others: [Watcher] = []
        private(set) var isInDispatch = false

        /// Whether it is news.
        func insert(_ watcher: Watcher) -> Bool {
            guard watchers.updateValue(watcher, forKey: ObjectIdentifier(watcher)) == nil else { return false }
            if watcher.request.wantsPrevious { previousCount += 1 }
            return true
        }

        /// Whether it was there.
        func remove(_ watcher: Watcher) -> Bool {
            guard watchers.removeValue(forKey: ObjectIdentifier(watcher)) != nil else { return false }
            if watcher.request.wantsPrevious { previousCount -= 1 }
            return true
        }

        /// Whether a watch of the group wants the value before an event of the revision.
        func wantsPrevious(at revision: Int64) -> Bool {
            previousCount > 0 && watchers.values.contains { $0.request.wantsPrevious && revision >= $0.next }
        }

        /// A dispatch of what there is from revision `first` on has come to one of the keys.
        func begin(from first: Int64) {
            isInDispatch = true
            for watcher in watchers.values {
                let request = watcher.request
                let wantsAll = watcher.next <= first && !request.skipsDeletions && !request.skipsPuts
                if wantsAll { alike.append(watcher) } else { others.append(watcher) }
            }
        }

        func end() {
            isInDispatch = false
            pending = []
            alike.removeAll(keepingCapacity: true)
            others.removeAll(keepingCapacity: true)
        }
    }

    private var exact: [Bytes: Group] = [:]
    private var groups: [KeyRange: Group] = [:]
    private var ranges = IntervalTree<Group>()
    private(set) var count = 0
    /// How many of them want events with previous values.
    private(set) var previousCount = 0

    var isEmpty: Bool { count == 0 }

    func insert(_ watcher: Watcher) {
        let range = watcher.request.range
        let group: Group
        if range.isSingle {
            if let known = exact[range.lower] {
                group = known
            } else {
                group = Group()
                exact[range.lower] = group
            }
        } else if let known = groups[range] {
            group = known
        } else {
            group = Group()
            groups[range] = group
            ranges.insert(range, group)
        }
        if group.insert(watcher) {
            count += 1
            if watcher.request.wantsPrevious { previousCount += 1 }
        }
    }

    func remove(_ watcher: Watcher) {
        let range = watcher.request.range
        guard let group = range.isSingle ? exact[range.lower] : groups[range] else { return }
        if group.remove(watcher) {
            count -= 1
            if watcher.request.wantsPrevious { previousCount -= 1 }
        }
        guard group.watchers.isEmpty else { return }
        if range.isSingle {
            exact[range.lower] = nil
        } else {
            groups[range] = nil
            ranges.remove(range)
        }
    }

    /// Calls `body` with the watches of every range that holds `key`.
    func forEachGroup(watching key: Bytes, _ body: (Group) -> Void) {
        if let group = exact[key] { body(group) }
        if !ranges.isEmpty { ranges.forEach(containing: key, body) }
    }

    /// All watches, in no order.
    var all: [Watcher] {
        var result: [Watcher] = []
        result.reserveCapacity(count)
        for group in exact.values { result += group.watchers.values }
        for group in groups.values { result += group.watchers.values }
        return result
    }
}
