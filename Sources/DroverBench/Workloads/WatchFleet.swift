/// Several watches, and the account of what each was told.
struct WatchFleet: Sendable {
    let sinks: [WatchSink]
    private let watches: [any BenchWatch]

    init(_ bench: WorkloadBench, _ plans: [WatchPlan], isStamped: Bool) async throws {
        let sinks = plans.indices.map { WatchSink(recorder: bench.recorder, lane: $0, isStamped: isStamped) }
        var watches = [(any BenchWatch)?](repeating: nil, count: plans.count)
        try await withThrowingTaskGroup(of: (Int, any BenchWatch).self) { group in
            var begun = 0
            func begin() {
                guard begun < plans.count else { return }
                let lane = begun
                begun += 1
                group.addTask { (lane, try await bench.session.watch(plans[lane], sinks[lane])) }
            }
            for _ in 0..<Self.created { begin() }
            while let (lane, watch) = try await group.next() {
                watches[lane] = watch
                begin()
            }
        }
        self.sinks = sinks
        self.watches = watches.map { $0! }
    }

    /// Watches that are being created at a time: clients that come back do not wait for each other.
    private static let created = 256

    /// Seconds that a watch waited for may tell nothing.
    private static let patience = 10.0

    /// Waits until each watch was told what it should have been, or for as long as is decent, and ends them.
    ///
    /// - Parameter expected: the events of each watch.
    func settle(expected: [Int]) async -> [String: Double] {
        let patience = UInt64(Self.patience * 1e9)
        var deadline = Clock.now() + patience
        for (sink, count) in zip(sinks, expected) {
            var told = sink.seen.events
            while sink.seen.events < count && sink.seen.failure == nil && Clock.now() < deadline {
                try? await Task.sleep(nanoseconds: 5_000_000)
                if sink.seen.events > told { deadline = Clock.now() + patience }
                told = sink.seen.events
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
