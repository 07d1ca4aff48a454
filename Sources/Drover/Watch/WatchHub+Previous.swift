extension WatchHub {
    /// Previous values that are read between two looks at what they come to.
    private static let previousAtOnce = 64

    /// Keys before events, as far as they were read.
    struct PreviousValues {
        /// By the events' places; nil when the database could not be read.
        var values: [LogPosition: KeyValue]?
        /// The last revision whose values are all there.
        var through: Int64
    }

    /// The keys before the events that some watch wants them with, read together: of whole revisions, of one at least, until
    /// they come to what one pass may hold.
    ///
    /// Of watches that were behind they are absent when compaction has passed the revision before, as in etcd. Watches
    /// in step see a compaction after the events that it came after, and the sweep waits for them.
    func previousValues(
        of events: ArraySlice<ChangeSet.LogEvent>,
        _ index: WatchIndex,
        inStep: Bool,
        through last: Int64
    ) -> PreviousValues {
        var previous = PreviousValues(values: [:], through: last)
        if index.previousCount == 0 { return previous }
        var wanted: [ChangeSet.LogEvent] = []
        // Of a creation etcd tells no value before it, though the same revision may have deleted one.
        for event in events where event.previousMain != 0 && event.version != 1 {
            var isWanted = false
            index.forEachGroup(watching: event.key) { group in
                isWanted = isWanted || group.wantsPrevious(at: event.main)
            }
            if isWanted { wanted.append(event) }
        }
        if wanted.isEmpty { return previous }
        do {
            let meta = try reader.beginSnapshot()
            defer { reader.endSnapshot() }
            if !inStep { wanted.removeAll { $0.main - 1 < meta.compacted } }
            var left = wanted[...]
            var bytes = 0
            while let next = left.first {
                if bytes > 0 && bytes >= feed.limits.catchUpBytes {
                    previous.through = next.main - 1
                    break
                }
                let last = left.prefix(Self.previousAtOnce).last ?? next
                let revisions = left.prefix { $0.main <= last.main }
                try readPrevious(Array(revisions)) { event, value in
                    bytes += value.key.count + value.value.count
                    previous.values?[LogPosition(main: event.main, sub: event.sub)] = value
                }
                left = left[revisions.endIndex...]
            }
        } catch {
            reader.endSnapshot()
            couldNotRead(
                "previous values could not be read",
                error,
                for: index.all.filter { $0.request.wantsPrevious }
            )
            return PreviousValues(values: nil, through: last)
        }
        readFailures = 0
        return previous
    }

    /// Reads the keys as they were at the revisions before those of the events, also where a revision changed one more than
    /// once.
    private func readPrevious(
        _ events: [ChangeSet.LogEvent],
        _ body: (ChangeSet.LogEvent, KeyValue) -> Void
    ) throws {
        var deeper: [(event: ChangeSet.LogEvent, position: LogPosition)] = []
        try reader.events(events.map { LogPosition(main: $0.previousMain, sub: $0.previousSub) }) { place, row in
            let event = events[place]
            if row.main == event.main {
                deeper.append((event, LogPosition(main: row.previousMain, sub: row.previousSub)))
            } else if row.version != 0 {
                body(event, row.keyValue())
            }
        }
        for (event, start) in deeper {
            var position = start
            while position.main != 0 {
                let wanted = position
                position.main = 0
                _ = try reader.event(main: wanted.main, sub: wanted.sub) { row in
                    if row.main == event.main {
                        position = LogPosition(main: row.previousMain, sub: row.previousSub)
                    } else if row.version != 0 {
                        body(event, row.keyValue())
                    }
                }
            }
        }
    }
}
