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
        var first = first
        var left = events.drop { $0.main < first }
        while !left.isEmpty && !index.isEmpty {
            // The values before them may be much longer than the events: a few revisions at a time then.
            let previous = previousValues(of: left, index, inStep: inStep, through: last)
            let piece = left.prefix { $0.main <= previous.through }
            // What lies beyond is not committed for all that is known: the database is damaged.
            if piece.isEmpty { return }
            dispatch(piece, previous.values, to: index, from: first, through: previous.through)
            left = left[piece.endIndex...]
            first = previous.through + 1
            if !left.isEmpty { flush() }
        }
    }

    /// - Parameter previous: the keys before the events; nil when they could not be read.
    private func dispatch(
        _ events: ArraySlice<ChangeSet.LogEvent>,
        _ previous: [LogPosition: KeyValue]?,
        to index: WatchIndex,
        from first: Int64,
        through last: Int64
    ) {
        var touched: [WatchIndex.Group] = []
        for event in events {
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

    /// The ring has lost revisions that were not dispatched yet: they are read from the log.
    func readMissed(upTo position: Int64) {
        while dispatched < position {
            // All have fallen behind: what is left is read by their pass.
            if synced.isEmpty {
                dispatched = position
                return
            }
            guard let chunk = readLog(from: dispatched + 1, for: synced) else { return }
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
