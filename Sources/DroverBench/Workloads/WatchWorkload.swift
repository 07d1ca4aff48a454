import Synchronization

/// Watches and writers: many watches of one range, or one watch of each key; or watches that begin in the past.
struct WatchWorkload: Workload {
    enum Kind: Sendable {
        case range, keys, catchUp
    }

    let kind: Kind

    var isMeasuredOnce: Bool { kind == .catchUp }

    func prepare(_ bench: WorkloadBench) async throws {
        guard kind == .catchUp else { return }
        // A history of one key after the other, over and over.
        let keys = bench.keys("w/")
        var written = 0
        while written < bench.settings.history {
            let count = min(bench.settings.keys, bench.settings.history - written)
            try await bench.fill(keys, 0..<count)
            written += count
        }
    }

    func run(_ bench: WorkloadBench) async throws -> [String: Double] {
        let keys = bench.keys("w/")
        if kind == .catchUp { return try await catchUp(bench, keys) }
        let watchers = bench.settings.watchers
        let plans = (0..<watchers).map { number in
            kind == .range
                ? WatchPlan(key: keys.first, end: keys.end) : WatchPlan(key: keys.key(number), end: [])
        }
        let fleet = try await WatchFleet(bench, plans, isStamped: true)
        // Every acknowledged put is one event, for all watches or for the key's own.
        let puts = Mutex([Int](repeating: 0, count: watchers))
        let scripts: [LaneScript] = (0..<bench.settings.lanes).map { lane in
            var random = bench.random(lane)
            var values = bench.values()
            var last: Int?
            return ClosureScript { result in
                if let last, result != nil { puts.withLock { $0[last] += 1 } }
                let number = random.next(below: watchers)
                last = number
                return .put(key: keys.key(number), value: values.stamped(&random), lease: 0)
            }
        }
        try await bench.session.run(scripts, pace: bench.pace, recorder: bench.recorder)
        let made = puts.withLock { $0 }
        let expected = kind == .range ? [Int](repeating: made.reduce(0, +), count: watchers) : made
        let begin = bench.recorder.begin
        var figures = await fleet.settle(expected: expected)
        let seconds = Double(bench.recorder.end - begin) / 1e9 + bench.settings.warmUpSeconds
        figures["events/s"] = figures["events"]! / seconds
        return figures
    }

    /// Watches that all begin where the history does, at once.
    private func catchUp(_ bench: WorkloadBench, _ keys: KeyMaker) async throws -> [String: Double] {
        let count = try await bench.session.perform(.count(key: keys.first, end: keys.end))
        let first = max(1, count.revision - Int64(bench.settings.history))
        let began = Clock.now()
        let probe = WatchSink()
        let watch = try await bench.session.watch(
            WatchPlan(key: keys.first, end: keys.end, startRevision: first),
            probe
        )
        // How many events there are is what the first watch is told until it stays quiet.
        var quiet = 0
        var last = -1
        while quiet < 20 && Clock.now() < began + 60_000_000_000 {
            try await Task.sleep(nanoseconds: 10_000_000)
            quiet = probe.seen.events == last && last > 0 ? quiet + 1 : 0
            last = probe.seen.events
        }
        await watch.end()
        let expected = probe.seen.events
        let start = Clock.now()
        let plans = (0..<bench.settings.watchers).map { _ in
            WatchPlan(key: keys.first, end: keys.end, startRevision: first)
        }
        let fleet = try await WatchFleet(bench, plans, isStamped: false)
        var figures = await fleet.settle(expected: plans.map { _ in expected })
        let end = Clock.now()
        bench.recorder.record(.catchUp, lane: 0, began: start, ended: end)
        figures["seconds"] = Double(end - start) / 1e9
        figures["events/s"] = figures["events"]! / figures["seconds"]!
        return figures
    }
}
