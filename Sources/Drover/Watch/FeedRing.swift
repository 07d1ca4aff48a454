import DequeModule

/// The events of one committed batch.
final class FeedBatch: Sendable {
    let firstRevision: Int64
    let lastRevision: Int64
    let events: [ChangeSet.LogEvent]
    let bytes: Int

    init(firstRevision: Int64, lastRevision: Int64, events: [ChangeSet.LogEvent]) {
        self.firstRevision = firstRevision
        self.lastRevision = lastRevision
        self.events = events
        bytes = events.reduce(0) { $0 + 96 + $1.key.count + $1.value.count }
    }
}

/// The newest batches, without a gap, for watches to read instead of the log.
struct FeedRing {
    private(set) var batches: Deque<FeedBatch> = []
    private var events = 0
    private var bytes = 0
    /// The revision after the newest batch.
    private(set) var position: Int64

    init(position: Int64) {
        self.position = position
    }

    /// The first revision that can be read here; above `position` when there is none.
    var firstRevision: Int64 { batches.first?.firstRevision ?? position + 1 }

    mutating func append(_ batch: FeedBatch, limits: Limits) {
        // Seen before it came here: the log has it.
        if batch.lastRevision <= position { return }
        if batch.firstRevision != position + 1 { removeAll() }
        batches.append(batch)
        events += batch.events.count
        bytes += batch.bytes
        position = batch.lastRevision
        while events > limits.feedEvents || bytes > limits.feedBytes, let oldest = batches.popFirst() {
            events -= oldest.events.count
            bytes -= oldest.bytes
        }
    }

    /// Others have committed up to `revision`: the ring begins anew after it.
    mutating func advance(to revision: Int64) {
        if revision <= position { return }
        removeAll()
        position = revision
    }

    /// Forgets every batch; the position stays.
    mutating func removeAll() {
        batches.removeAll()
        events = 0
        bytes = 0
    }

    /// Batches that hold revisions from `revision` on, at most so many bytes but at least one.
    func read(from revision: Int64, bytes limit: Int) -> [FeedBatch] {
        guard revision >= firstRevision else { return [] }
        var result: [FeedBatch] = []
        var total = 0
        for batch in batches[batches.partitioningIndex(where: { $0.lastRevision >= revision })...] {
            if !result.isEmpty && total + batch.bytes > limit { break }
            total += batch.bytes
            result.append(batch)
        }
        return result
    }
}
