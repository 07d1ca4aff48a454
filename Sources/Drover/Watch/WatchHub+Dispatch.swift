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
    func dispatch(
        _ events: ArraySlice<ChangeSet.LogEvent>,
        to index: WatchIndex,
        from first: Int64,
        through last: Int64
    ) {
        if index.isEmpty { return }
        let previous = previousValues(of: events, index, from: first)
        var touched: [Watcher] = []
        for event in events where event.main >= first {
            var shared: SharedEvent?
            index.forEach(watching: event.key) { watcher in
                if event.main < watcher.next { return }
                if event.version == 0 ? watcher.request.skipsDeletions : watcher.request.skipsPuts { return }
                let one = shared ?? makeShared(event, previous?[LogPosition(main: event.main, sub: event.sub)])
                shared = one
                if watcher.pending.isEmpty { touched.append(watcher) }
                watcher.pending.append(one)
            }
        }
        for watcher in touched {
            let pending = watcher.pending
            watcher.pending = []
            // Without the values that were asked for nothing is handed on: the watch comes to it again.
            let lacksPrevious =
                previous == nil && watcher.request.wantsPrevious
                && pending.contains { $0.event.kv.version != 1 }
            guard !lacksPrevious && watcher.consumer.hasRoom() else {
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

    /// The keys before the events that some watch wants them with, by the events' places, read together; absent when
    /// compaction has passed the revision before, as in etcd. Nil when the database could not be read.
    private func previousValues(
        of events: ArraySlice<ChangeSet.LogEvent>,
        _ index: WatchIndex,
        from first: Int64
    ) -> [LogPosition: KeyValue]? {
        if index.previousCount == 0 { return [:] }
        var wanted: [ChangeSet.LogEvent] = []
        for event in events where event.main >= first && event.previousMain != 0 {
            var isWanted = false
            index.forEach(watching: event.key) {
                isWanted = isWanted || ($0.request.wantsPrevious && event.main >= $0.next)
            }
            if isWanted { wanted.append(event) }
        }
        if wanted.isEmpty { return [:] }
        var found: [LogPosition: KeyValue] = [:]
        do {
            let meta = try reader.beginSnapshot()
            defer { reader.endSnapshot() }
            wanted.removeAll { $0.main - 1 < meta.compacted }
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
            feed.logger.error("previous values could not be read", metadata: ["reason": "\(error)"])
            // A database that is away must not be asked in a tight loop.
            usleep(50_000)
            return nil
        }
        return found
    }

    /// The ring has lost revisions that were not dispatched yet: they are read from the log.
    func readMissed(upTo position: Int64) {
        while dispatched < position {
            guard let chunk = readLog(from: dispatched + 1) else { return }
            if dispatched + 1 < chunk.purged {
                // The sweep has passed what the watches in step still wanted.
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
