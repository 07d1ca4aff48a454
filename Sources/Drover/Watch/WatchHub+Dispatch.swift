#if canImport(Glibc)
    import Glibc
#elseif canImport(Musl)
    import Musl
#elseif canImport(Darwin)
    import Darwin
#endif

extension WatchHub {
    /// Hands events to the watches of `index` that want them. A watch whose consumer has no room falls behind at the
    /// first revision it would have missed; it never gets a part of a revision.
    ///
    /// - Parameter inStep: whether these are the watches in step with the feed.
    func dispatch(
        _ events: ArraySlice<ChangeSet.LogEvent>,
        to index: WatchIndex,
        inStep: Bool,
        from first: Int64,
        through last: Int64
    ) {
        if index.isEmpty { return }
        let previous = previousValues(of: events, index, inStep: inStep, from: first)
        var touched: [WatchIndex.Group] = []
        for event in events where event.main >= first {
            var shared: SharedEvent?
            index.forEachGroup(watching: event.key) { group in
                if !group.isInDispatch {
                    group.begin(from: first)
                    touched.append(group)
                }
                let one = shared ?? makeShared(event, previous?[LogPosition(main: event.main, sub: event.sub)])
                shared = one
                if !group.alike.isEmpty { group.pending.append(one) }
                for watcher in group.others where event.main >= watcher.next {
                    if event.version == 0 ? watcher.request.skipsDeletions : watcher.request.skipsPuts { continue }
                    watcher.pending.append(one)
                }
            }
        }
        for group in touched {
            if !group.alike.isEmpty {
                let list = EventList(group.pending, isShared: group.alike.count > 1)
                for watcher in group.alike { hand(list, to: watcher, through: last, lacksPrevious: previous == nil) }
            }
            for watcher in group.others where !watcher.pending.isEmpty {
                let list = EventList(watcher.pending, isShared: false)
                watcher.pending = []
                hand(list, to: watcher, through: last, lacksPrevious: previous == nil)
            }
            group.end()
        }
    }

    /// Tells a watch what was found for it, or lets it come to that again when it cannot be told now.
    private func hand(_ list: EventList, to watcher: Watcher, through last: Int64, lacksPrevious: Bool) {
        // Without the values that were asked for nothing is handed on.
        let isIncomplete =
            lacksPrevious && watcher.request.wantsPrevious && list.events.contains { $0.event.kv.version != 1 }
        guard !isIncomplete && watcher.consumer.hasRoom(for: list.footprint) else {
            leave(watcher)
            fallBehind(watcher, at: list.events[0].event.kv.modRevision, wanting: isIncomplete ? 0 : list.footprint)
            return
        }
        watcher.wasTold = true
        feed.counters.events.add(list.events.count, ordering: .relaxed)
        tell(watcher.consumer, watcher.id, last, .events(list, withPrevious: watcher.request.wantsPrevious))
    }

    private func makeShared(_ event: ChangeSet.LogEvent, _ previous: KeyValue?) -> SharedEvent {
        if event.version == 0 {
            return SharedEvent(
                Event(kind: .delete, kv: KeyValue(key: event.key, modRevision: event.main), previous: previous)
            )
        }
        return SharedEvent(
            Event(
                kind: .put,
                kv: KeyValue(
                    key: event.key,
                    value: event.value,
                    createRevision: event.createRevision,
                    modRevision: event.main,
                    version: event.version,
                    lease: event.lease
                ),
                previous: previous
            )
        )
    }

    /// The keys before the events that some watch wants them with, by the events' places, read together. Nil when the
    /// database could not be read.
    ///
    /// Of watches that were behind they are absent when compaction has passed the revision before, as in etcd. Watches
    /// in step see a compaction after the events that it came after, and the sweep waits for them.
    private func previousValues(
        of events: ArraySlice<ChangeSet.LogEvent>,
        _ index: WatchIndex,
        inStep: Bool,
        from first: Int64
    ) -> [LogPosition: KeyValue]? {
        if index.previousCount == 0 { return [:] }
        var wanted: [ChangeSet.LogEvent] = []
        // Of a creation etcd tells no value before it, though the same revision may have deleted one.
        for event in events where event.main >= first && event.previousMain != 0 && event.version != 1 {
            var isWanted = false
            index.forEachGroup(watching: event.key) { group in
                isWanted = isWanted || group.wantsPrevious(at: event.main)
            }
            if isWanted { wanted.append(event) }
        }
        if wanted.isEmpty { return [:] }
        var found: [LogPosition: KeyValue] = [:]
        do {
            let meta = try reader.beginSnapshot()
            defer { reader.endSnapshot() }
            if !inStep { wanted.removeAll { $0.main - 1 < meta.compacted } }
            var deeper: [(event: ChangeSet.LogEvent, position: LogPosition)] = []
            let positions = wanted.map { LogPosition(main: $0.previousMain, sub: $0.previousSub) }
            try reader.events(positions) { place, row in
                let event = wanted[place]
                if row.main == event.main {
                    deeper.append((event, LogPosition(main: row.previousMain, sub: row.previousSub)))
                } else if row.version != 0 {
                    found[LogPosition(main: event.main, sub: event.sub)] = row.keyValue()
                }
            }
            // The key as it was at the revision before, also when this revision changed it more than once.
            for (event, start) in deeper {
                var position = start
                while position.main != 0 {
                    let wantedPosition = position
                    position.main = 0
                    _ = try reader.event(main: wantedPosition.main, sub: wantedPosition.sub) { row in
                        if row.main == event.main {
                            position = LogPosition(main: row.previousMain, sub: row.previousSub)
                        } else if row.version != 0 {
                            found[LogPosition(main: event.main, sub: event.sub)] = row.keyValue()
                        }
                    }
                }
            }
        } catch {
            reader.endSnapshot()
            couldNotRead("previous values could not be read", error)
            return nil
        }
        readFailures = 0
        return found
    }

    /// The ring has lost revisions that were not dispatched yet: they are read from the log.
    func readMissed(upTo position: Int64) {
        while dispatched < position {
            // All have fallen behind: what is left is read by their pass.
            if synced.isEmpty {
                dispatched = position
                return
            }
            guard let chunk = readLog(from: dispatched + 1) else { return }
            if dispatched + 1 < chunk.purged {
                // The sweep has passed what the watches in step still wanted.
                for watcher in synced.all {
                    leave(watcher)
                    fallBehind(watcher, at: max(watcher.next, dispatched + 1))
                }
                dispatched = position
                return
            }
            dispatch(chunk.events[...], to: synced, inStep: true, from: dispatched + 1, through: chunk.through)
            dispatched = chunk.through
            flush()
        }
    }
}
