#if canImport(Glibc)
    import Glibc
#elseif canImport(Musl)
    import Musl
#elseif canImport(Darwin)
    import Darwin
#endif

/// One pass over the log, shared by all watches that were behind when it began.
struct CatchUpPass {
    var index = WatchIndex()
    /// The next revision to read.
    var next: Int64
}

/// Whole revisions of the log.
struct LogChunk {
    var events: [ChangeSet.LogEvent]
    /// The last revision that is in it whole.
    var through: Int64
    /// The compaction mark in the snapshot it was read from.
    var compacted: Int64
    /// Events before this revision may be gone.
    var purged: Int64
}

extension WatchHub {
    /// Brings the watches that are behind a step further.
    func stepPass() {
        if pass == nil {
            let waiting = ready.filter { $0.place == .ready }
            ready.removeAll()
            if waiting.isEmpty { return }
            var begun = CatchUpPass(next: waiting[0].next)
            for watcher in waiting {
                begun.next = min(begun.next, watcher.next)
                watcher.place = .inPass
                begun.index.insert(watcher)
            }
            pass = begun
            feed.counters.passes.add(1, ordering: .relaxed)
        }
        guard let current = pass else { return }
        if current.index.isEmpty {
            pass = nil
            return
        }
        if current.next > dispatched {
            finishPass()
            return
        }
        feed.counters.passChunks.add(1, ordering: .relaxed)
        // What compaction has passed is refused even where the ring still has it, as the log would.
        let batches = feed.inbox.withLock { inbox in
            current.next < inbox.compacted ? [] : inbox.ring.read(from: current.next, bytes: feed.limits.catchUpBytes)
        }
        if !batches.isEmpty {
            for batch in batches {
                guard let index = pass?.index, batch.lastRevision <= dispatched else { break }
                dispatch(batch.events[...], to: index, inStep: false, from: pass!.next, through: batch.lastRevision)
                pass!.next = batch.lastRevision + 1
            }
            // Batches beyond `dispatched` are for the next round of live events.
            return
        }
        guard let chunk = readLog(from: current.next) else { return }
        if current.next < chunk.compacted {
            cancelCompacted(chunk.compacted)
            guard let remaining = pass?.index, !remaining.isEmpty else {
                pass = nil
                return
            }
            pass!.next = max(current.next, remaining.all.map(\.next).min() ?? chunk.compacted)
            return
        }
        let through = min(chunk.through, dispatched)
        let end = chunk.events.firstIndex { $0.main > through } ?? chunk.events.count
        dispatch(chunk.events[..<end], to: current.index, inStep: false, from: current.next, through: through)
        pass?.next = through + 1
    }

    /// The pass has reached the feed: its watches go on in step.
    private func finishPass() {
        guard let done = pass else { return }
        pass = nil
        for watcher in done.index.all {
            watcher.next = max(watcher.next, done.next)
            watcher.place = .synced
            synced.insert(watcher)
            feed.counters.slowWatchers.subtract(1, ordering: .relaxed)
        }
    }

    private func cancelCompacted(_ compacted: Int64) {
        guard let current = pass else { return }
        for watcher in current.index.all where max(watcher.next, current.next) < compacted {
            remove(watcher)
            watcher.consumer.watchers[watcher.id] = nil
            tell(
                watcher.consumer,
                watcher.id,
                dispatched,
                .cancelled(compactRevision: compacted, reason: "")
            )
        }
    }

    /// Reads whole revisions from the log, at least one; nil when the database could not be read.
    func readLog(from first: Int64) -> LogChunk? {
        do {
            let meta = try reader.beginSnapshot()
            defer { reader.endSnapshot() }
            var chunk = LogChunk(
                events: [],
                through: meta.revision,
                compacted: meta.compacted,
                purged: meta.purged
            )
            if first < meta.purged { return chunk }
            var bytes = 0
            try reader.log(from: first, values: true) { row in
                let full = chunk.events.count >= feed.limits.catchUpRows || bytes >= feed.limits.catchUpBytes
                if full, let last = chunk.events.last, row.main != last.main {
                    chunk.through = last.main
                    return false
                }
                bytes += row.key.count + row.value.count
                chunk.events.append(row.event())
                return true
            }
            return chunk
        } catch {
            reader.endSnapshot()
            feed.logger.error("the log could not be read for watches", metadata: ["reason": "\(error)"])
            // The watches keep their places; a database that is away must not be asked in a tight loop.
            usleep(50_000)
            return nil
        }
    }
}
