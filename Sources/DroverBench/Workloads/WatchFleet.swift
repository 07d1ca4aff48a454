/// Several watches, and the account of what each was told.
struct WatchFleet: Sendable {
    let sinks: [WatchSink]
    private let watches: [any BenchWatch]
    private let patience: UInt64

    /// - Parameter patience: seconds that a watch waited for may tell nothing.
    init(_ bench: WorkloadBench, _ plans: [WatchPlan], isStamped: Bool, patience: Double = 10) async throws {
        self.patience = UInt64(patience * 1e9)
        let sinks = plans.indices.map { WatchSink(recorder: bench.recorder, lane: $0, isStamped: isStamped) }
        var watches = [(any BenchWatch)?](repeating: nil, count: plans.count)
        do {
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
        } catch {
            for watch in watches { await watch?.end() }
            throw error
        }
        self.sinks = sinks
        self.watches = watches.map { $0! }
    }

    /// Watches that are being created at a time: clients that come back do not wait for each other.
    private static let created = 256

    /// Waits until each watch was told what it should have been, or for as long as is decent, and ends them.
    ///
    /// - Parameters:
    ///   - expected: the events of each watch.
    ///   - unsure: writes that were not answered or with an error, of which each may have been made.
    func settle(expected: [Int], unsure: [Int]? = nil) async -> [String: Double] {
        var deadline = Clock.now() + patience
        var (told, looked) = (0, Clock.now())
        var place = 0
        while Clock.now() < deadline {
            while place < sinks.count, sinks[place].isDone(expected[place]) { place += 1 }
            if place == sinks.count { break }
            try? await Task.sleep(nanoseconds: 5_000_000)
            // While any of them is told something, the others' turn may come.
            guard Clock.now() - looked > patience / 20 else { continue }
            looked = Clock.now()
            let events = sinks.reduce(0) { $0 + $1.seen.events }
            if events > told { deadline = looked + patience }
            told = events
        }
        // What comes too often comes now.
        try? await Task.sleep(nanoseconds: 50_000_000)
        var figures: [String: Double] = [
            "events": 0, "lost": 0, "doubled": 0, "out of order": 0, "unexpected": 0, "watches ended": 0,
        ]
        for (place, (sink, count)) in zip(sinks, expected).enumerated() {
            let seen = sink.seen
            figures["events"]! += Double(seen.events)
            figures["lost"]! += Double(max(0, count - seen.events + seen.doubled))
            let surplus = seen.events - count - (unsure?[place] ?? 0) - seen.doubled
            figures["unexpected"]! += Double(max(0, surplus))
            if seen.progress > 0 { figures["progress answers", default: 0] += Double(seen.progress) }
            figures["doubled"]! += Double(seen.doubled)
            figures["out of order"]! += Double(seen.outOfOrder)
            if seen.failure != nil { figures["watches ended"]! += 1 }
        }
        for watch in watches { await watch.end() }
        return figures
    }

    /// When a watch was last told of an event, in nanoseconds of ``Clock``.
    var lastTold: UInt64 { sinks.reduce(0) { max($0, $1.seen.lastTold) } }
}
