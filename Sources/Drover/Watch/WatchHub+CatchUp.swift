import Logging

#if canImport(Glibc)
    import Glibc
#elseif canImport(Musl)
    import Musl
#elseif canImport(Darwin)
    import Darwin
#endif

/// One pass over the log, shared by watches that are behind.
final class CatchUpPass {
    let index = WatchIndex()
    /// The next revision to read.
    var next: Int64
    private var hasLost = false

    init(next: Int64) { self.next = next }

    func insert(_ watcher: Watcher) {
        watcher.place = .inPass
        watcher.pass = self
        index.insert(watcher)
    }

    func remove(_ watcher: Watcher) {
        index.remove(watcher)
        hasLost = true
    }

    /// Leaves out what nobody wants any more since those that did have gone.
    func skipUnwanted() {
        if !hasLost { return }
        hasLost = false
        next = max(next, index.all.lazy.map(\.next).min() ?? next)
    }
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
    /// Brings the watches that are behind a step further: those that are near, and those that are far, in passes of their own.
    func stepPasses() {
        admit()
        if let pass = nearPass, !step(pass) { nearPass = nil }
        if let pass = farPass, !step(pass) { farPass = nil }
    }

    /// Lets watches that are ready join the pass that has not passed them yet, or begin one.
    private func admit() {
        if ready.isEmpty { return }
        let inRing = feed.inbox.withLock { $0.ring.firstRevision }
        let isNear = min(inRing, dispatched - Int64(feed.limits.catchUpRows))
        let (near, far) = (ready.values.filter { $0.next >= isNear }, ready.values.filter { $0.next < isNear })
        admit(near, to: &nearPass)
        admit(far, to: &farPass)
    }

    private func admit(_ watchers: [Watcher], to pass: inout CatchUpPass?) {
        guard let first = watchers.lazy.map(\.next).min() else { return }
        if pass == nil { feed.counters.passes.add(1, ordering: .relaxed) }
        let joined = pass ?? CatchUpPass(next: first)
        pass = joined
        for watcher in watchers where watcher.next >= joined.next {
            leave(watcher)
            joined.insert(watcher)
        }
    }

    /// One step of a pass; false when it is over.
    private func step(_ pass: CatchUpPass) -> Bool {
        if pass.index.isEmpty { return false }
        pass.skipUnwanted()
        if finishIfDone(pass) { return false }
        feed.counters.passChunks.add(1, ordering: .relaxed)
        // What compaction has passed is refused even where the ring still has it, as the log would.
        let batches = feed.inbox.withLock { inbox in
            pass.next < inbox.compacted ? [] : inbox.ring.read(from: pass.next, bytes: feed.limits.catchUpBytes)
        }
        if !batches.isEmpty {
            // Batches beyond `dispatched` are for the next round of live events.
            for batch in batches where batch.lastRevision <= dispatched {
                dispatch(batch.events[...], to: pass.index, inStep: false, from: pass.next, through: batch.lastRevision)
                pass.next = batch.lastRevision + 1
            }
            return !finishIfDone(pass)
        }
        guard let chunk = readLog(from: pass.next, for: pass.index) else { return true }
        if pass.next < chunk.compacted {
            cancelCompacted(chunk.compacted, pass)
            if pass.index.isEmpty { return false }
            pass.skipUnwanted()
            return true
        }
        let through = min(chunk.through, dispatched)
        let end = chunk.events.firstIndex { $0.main > through } ?? chunk.events.count
        dispatch(chunk.events[..<end], to: pass.index, inStep: false, from: pass.next, through: through)
        pass.next = through + 1
        return !finishIfDone(pass)
    }

    /// Whether the pass has reached the feed: its watches go on in step then.
    private func finishIfDone(_ pass: CatchUpPass) -> Bool {
        if pass.next <= dispatched { return false }
        for watcher in pass.index.all {
            // Out of the pass, which is over.
            watcher.pass = nil
            watcher.next = max(watcher.next, pass.next)
            watcher.place = .synced
            synced.insert(watcher)
            feed.counters.slowWatchers.subtract(1, ordering: .relaxed)
        }
        return true
    }

    private func cancelCompacted(_ compacted: Int64, _ pass: CatchUpPass) {
        for watcher in pass.index.all where max(watcher.next, pass.next) < compacted {
            end(watcher, compactRevision: compacted)
        }
    }

    /// Says that the database could not be read: aloud the first time, since an outage may last for hours. Watches end that
    /// would wait for what no later try can read either.
    ///
    /// - Parameter watchers: those that it was read for.
    func couldNotRead(_ what: Logger.Message, _ error: any Error, for watchers: [Watcher]) {
        readFailures += 1
        feed.logger.log(level: readFailures == 1 ? .error : .debug, what, metadata: ["reason": "\(error)"])
        feed.notice(error)
        if let failure = error as? DriverFailure, failure.kind == .corrupt {
            for watcher in watchers { end(watcher, cause: failure.asDroverError) }
            return
        }
        // The watches keep their places; a database that is away must not be asked in a tight loop.
        usleep(50_000)
    }

    /// Reads whole revisions from the log, at least one; nil when the database could not be read.
    func readLog(from first: Int64, for index: WatchIndex) -> LogChunk? {
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
            readFailures = 0
            return chunk
        } catch {
            reader.endSnapshot()
            couldNotRead("the log could not be read for watches", error, for: Array(index.all))
            return nil
        }
    }
}
