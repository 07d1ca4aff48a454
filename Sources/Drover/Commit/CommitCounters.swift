import Synchronization

/// What the committer counts, for metrics.
public final class CommitCounters: Sendable {
    /// Upper bounds of the histogram of batch durations, in seconds: etcd's buckets of backend commits.
    public static let bounds: [Double] = [
        0.001, 0.002, 0.004, 0.008, 0.016, 0.032, 0.064, 0.128, 0.256, 0.512, 1.024, 2.048, 4.096, 8.192,
    ]

    let batches = Atomic<Int>(0)
    let calls = Atomic<Int>(0)
    let failedBatches = Atomic<Int>(0)
    let conflicts = Atomic<Int>(0)
    let sweepNanoseconds = Atomic<Int>(0)
    let longestSweepNanoseconds = Atomic<Int>(0)
    let totalNanoseconds = Atomic<Int>(0)
    private let histogram = Mutex<[Int]>(Array(repeating: 0, count: bounds.count + 1))

    private let puts = Atomic<Int>(0)
    private let deletes = Atomic<Int>(0)

    /// Keys that were put and deleted, also within transactions.
    public var keyCounts: (puts: Int, deletes: Int) {
        (puts.load(ordering: .relaxed), deletes.load(ordering: .relaxed))
    }

    func record(calls: Int, events: [ChangeSet.LogEvent], nanoseconds: Int64) {
        let deleted = events.reduce(0) { $1.version == 0 ? $0 + 1 : $0 }
        deletes.add(deleted, ordering: .relaxed)
        puts.add(events.count - deleted, ordering: .relaxed)
        batches.add(1, ordering: .relaxed)
        self.calls.add(calls, ordering: .relaxed)
        totalNanoseconds.add(Int(nanoseconds), ordering: .relaxed)
        let seconds = Double(nanoseconds) / 1e9
        let bucket = Self.bounds.firstIndex { seconds <= $0 } ?? Self.bounds.count
        histogram.withLock { $0[bucket] += 1 }
    }

    /// Tries of batches that met another writer.
    public var conflictCount: Int { conflicts.load(ordering: .relaxed) }

    /// What steps of the sweep took here, in seconds; of several instances one sweeps at a time.
    public var sweepSeconds: Double { Double(sweepNanoseconds.load(ordering: .relaxed)) / 1e9 }

    /// The longest step of the sweep, in seconds.
    public var longestSweepSeconds: Double { Double(longestSweepNanoseconds.load(ordering: .relaxed)) / 1e9 }

    /// Batches committed, their calls, and the seconds they took, with the count of each bucket.
    public func snapshot() -> (batches: Int, calls: Int, failed: Int, seconds: Double, buckets: [Int]) {
        (
            batches.load(ordering: .relaxed), calls.load(ordering: .relaxed), failedBatches.load(ordering: .relaxed),
            Double(totalNanoseconds.load(ordering: .relaxed)) / 1e9, histogram.withLock { $0 }
        )
    }
}
