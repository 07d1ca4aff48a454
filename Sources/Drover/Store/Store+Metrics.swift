extension Store {
    /// Figures of the engine, for metrics.
    public struct Metrics: Sendable {
        public var commits: (batches: Int, calls: Int, failed: Int, seconds: Double, buckets: [Int])
        public var feed: (watchers: Int, slow: Int, events: Int, passes: Int, chunks: Int)
        public var leases: (granted: Int, revoked: Int, renewed: Int, expired: Int)
        public var leaseCount: Int
        public var sweepSeconds: Double
        public var longestSweepSeconds: Double
        public var conflicts: Int
        public var countWalks: Int
        public var keys: (puts: Int, deletes: Int)
        /// Rows with values that ranges have read, those of them that were kept in memory, and the bytes kept now.
        public var cachedRows: (rows: Int, kept: Int, bytes: Int)
    }

    /// Figures of the engine since it was opened.
    public func metrics() -> Metrics {
        Metrics(
            commits: committer.counters.snapshot(),
            feed: feed.counters.snapshot(),
            leases: lessor?.totals() ?? sharedLeases?.totals() ?? (0, 0, 0, 0),
            leaseCount: leaseCount,
            sweepSeconds: committer.counters.sweepSeconds,
            longestSweepSeconds: committer.counters.longestSweepSeconds,
            conflicts: committer.counters.conflictCount,
            countWalks: counts.walkCount,
            keys: committer.counters.keyCounts,
            cachedRows: driver.rowCache?.totals ?? (0, 0, 0)
        )
    }

    /// The number of leases; of a shared database as it was counted lately.
    var leaseCount: Int { lessor?.count ?? sharedLeases?.count ?? 0 }

    /// The backend's name, such as `sqlite`.
    public var backendName: String { driver.name }
}
