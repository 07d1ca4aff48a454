extension WatchHub {
    /// Hands events to the watches of `index` that want them. A watch whose consumer has no room falls behind at the
    /// first revision it would have missed; it never gets a part of a revision.
    func dispatch(
        _ events: ArraySlice<ChangeSet.LogEvent>,
        to index: WatchIndex,
        from first: Int64,
        through last: Int64
    ) {
        if index.isEmpty { return }
        // Previous values of one dispatch are read in one snapshot.
        defer { endPreviousSnapshot() }
        var touched: [Watcher] = []
        for event in events where event.main >= first {
            var shared: SharedEvent?
            index.forEach(watching: event.key) { watcher in
                if event.main < watcher.next { return }
                if event.version == 0 ? watcher.request.skipsDeletions : watcher.request.skipsPuts { return }
                let one = shared ?? makeShared(event, index)
                shared = one
                if watcher.pending.isEmpty { touched.append(watcher) }
                watcher.pending.append(one)
            }
        }
        for watcher in touched {
            let pending = watcher.pending
            watcher.pending = []
            guard watcher.consumer.hasRoom() else {
                let place = watcher.place
                if place == .synced { synced.remove(watcher) } else { pass?.index.remove(watcher) }
                fallBehind(watcher, at: pending[0].event.kv.modRevision)
                continue
            }
            watcher.wasTold = true
            feed.counters.events.add(pending.count, ordering: .relaxed)
            tell(
                watcher.consumer,
                watcher.id,
                last,
                .events(pending, withPrevious: watcher.request.wantsPrevious)
            )
        }
    }

    private func makeShared(_ event: ChangeSet.LogEvent, _ index: WatchIndex) -> SharedEvent {
        var previous: KeyValue?
        if event.previousMain != 0 {
            var wanted = false
            index.forEach(watching: event.key) { wanted = wanted || $0.request.wantsPrevious }
            if wanted { previous = readPrevious(event) }
        }
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

    /// The key before the event; absent when compaction has passed the revision before it, as in etcd.
    private func readPrevious(_ event: ChangeSet.LogEvent) -> KeyValue? {
        var previous: KeyValue?
        do {
            let meta = try previousSnapshot ?? reader.beginSnapshot()
            previousSnapshot = meta
            if event.main - 1 < meta.compacted { return nil }
            // The key as it was at the revision before, also when this revision changed it more than once.
            var (main, sub) = (event.previousMain, event.previousSub)
            while main != 0 {
                let (wantedMain, wantedSub) = (main, sub)
                main = 0
                _ = try reader.event(main: wantedMain, sub: wantedSub) { row in
                    if row.main == event.main {
                        (main, sub) = (row.previousMain, row.previousSub)
                    } else if row.version != 0 {
                        previous = row.keyValue()
                    }
                }
            }
        } catch {
            feed.logger.error("a previous value could not be read", metadata: ["reason": "\(error)"])
        }
        return previous
    }

    private func endPreviousSnapshot() {
        if previousSnapshot == nil { return }
        previousSnapshot = nil
        reader.endSnapshot()
    }

    /// The ring has lost revisions that were not dispatched yet: they are read from the log.
    func readMissed(upTo position: Int64) {
        while dispatched < position {
            guard let chunk = readLog(from: dispatched + 1) else { return }
            if dispatched + 1 < chunk.compacted {
                // Compaction has passed what the watches in step still wanted.
                for watcher in synced.all {
                    synced.remove(watcher)
                    fallBehind(watcher, at: max(watcher.next, dispatched + 1))
                }
                dispatched = position
                return
            }
            dispatch(chunk.events[...], to: synced, from: dispatched + 1, through: chunk.through)
            dispatched = chunk.through
            flush()
        }
    }
}
