extension Store {
    /// Figures of the engine, for metrics.
    public struct Metrics: Sendable {
        public var commits: (batches: Int, calls: Int, failed: Int, seconds: Double, buckets: [Int])
        public var feed: (watchers: Int, slow: Int, events: Int, passes: Int, chunks: Int)
        public var leases: (granted: Int, revoked: Int, renewed: Int, expired: Int)
        public var leaseCount: Int
        public var longestSweepSeconds: Double
    }

    /// Figures of the engine since it was opened.
    public func metrics() -> Metrics {
        Metrics(
            commits: committer.counters.snapshot(),
            feed: feed.counters.snapshot(),
            leases: lessor.totals(),
            leaseCount: lessor.count,
            longestSweepSeconds: committer.counters.longestSweepSeconds
        )
    }

    /// The backend's name, such as `sqlite`.
    public var backendName: String { driver.name }
}
