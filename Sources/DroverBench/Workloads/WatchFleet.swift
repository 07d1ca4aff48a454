/// Several watches, and the account of what each was told.
struct WatchFleet: Sendable {
    let sinks: [WatchSink]
    private let watches: [any BenchWatch]

    init(_ bench: WorkloadBench, _ plans: [WatchPlan], isStamped: Bool) async throws {
        var sinks: [WatchSink] = []
        var watches: [any BenchWatch] = []
        for (lane, plan) in plans.enumerated() {
            let sink = WatchSink(recorder: bench.recorder, lane: lane, isStamped: isStamped)
            watches.append(try await bench.session.watch(plan, sink))
            sinks.append(sink)
        }
        self.sinks = sinks
        self.watches = watches
    }

    /// Seconds that the last events may take.
    private static let patience = 10.0

    /// Waits until each watch was told what it should have been, or for as long as is decent, and ends them.
    ///
    /// - Parameter expected: the events of each watch.
    func settle(expected: [Int]) async -> [String: Double] {
        let deadline = Clock.now() + UInt64(Self.patience * 1e9)
        for (sink, count) in zip(sinks, expected) {
            while sink.seen.events < count && sink.seen.failure == nil && Clock.now() < deadline {
                try? await Task.sleep(nanoseconds: 5_000_000)
            }
        }
        // What comes too often comes now.
        try? await Task.sleep(nanoseconds: 50_000_000)
        var figures: [String: Double] = ["events": 0, "lost": 0, "doubled": 0, "out of order": 0, "watches ended": 0]
        for (sink, count) in zip(sinks, expected) {
            let seen = sink.seen
            figures["events"]! += Double(seen.events)
            figures["lost"]! += Double(max(0, count - seen.events))
            figures["doubled"]! += Double(seen.doubled)
            figures["out of order"]! += Double(seen.outOfOrder)
            if seen.failure != nil { figures["watches ended"]! += 1 }
        }
        for watch in watches { await watch.end() }
        return figures
    }
}
