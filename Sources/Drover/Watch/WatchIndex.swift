/// Finds the watches of a key: by hash for watches on one key, by interval tree for watches on ranges.
///
/// Watches on the same range share one node, so that a thousand watches of one prefix cost one lookup.
struct WatchIndex {
    final class Group {
        var watchers: [ObjectIdentifier: Watcher] = [:]
    }

    private var exact: [Bytes: Group] = [:]
    private var groups: [KeyRange: Group] = [:]
    private var ranges = IntervalTree<Group>()
    private(set) var count = 0
    /// How many of them want events with previous values.
    private(set) var previousCount = 0

    var isEmpty: Bool { count == 0 }

    mutating func insert(_ watcher: Watcher) {
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
        if group.watchers.updateValue(watcher, forKey: ObjectIdentifier(watcher)) == nil {
            count += 1
            if watcher.request.wantsPrevious { previousCount += 1 }
        }
    }

    mutating func remove(_ watcher: Watcher) {
        let range = watcher.request.range
        guard let group = range.isSingle ? exact[range.lower] : groups[range] else { return }
        if group.watchers.removeValue(forKey: ObjectIdentifier(watcher)) != nil {
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

    /// Calls `body` with every watch whose range holds `key`.
    func forEach(watching key: Bytes, _ body: (Watcher) -> Void) {
        if let group = exact[key] {
            for watcher in group.watchers.values { body(watcher) }
        }
        if !ranges.isEmpty {
            ranges.forEach(containing: key) { group in
                for watcher in group.watchers.values { body(watcher) }
            }
        }
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
