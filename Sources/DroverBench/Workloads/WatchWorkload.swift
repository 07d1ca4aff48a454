import Synchronization

/// Watches and writers: many watches of one range, or one watch of each key; or watches that begin in the past.
struct WatchWorkload: Workload {
    enum Kind: Sendable {
        case range, keys, beside, catchUp, catchUpKeys

        var isOfThePast: Bool { self == .catchUp || self == .catchUpKeys }
    }

    let kind: Kind

    var isMeasuredOnce: Bool { kind.isOfThePast }

    /// Where the history begins is the revision of a key beside it.
    private func mark(_ bench: WorkloadBench) -> [UInt8] { bench.keys("mark/").key(0) }

    func prepare(_ bench: WorkloadBench) async throws {
        guard kind.isOfThePast, bench.round == 0 else { return }
        _ = try await bench.session.perform(.put(key: mark(bench), value: [], lease: 0))
        try await bench.writeHistory(bench.keys("w/"))
    }

    func run(_ bench: WorkloadBench) async throws -> [String: Double] {
        let keys = bench.keys("w/")
        if kind.isOfThePast { return try await catchUp(bench, keys) }
        let watchers = bench.settings.watchers
        let others = bench.keys("o/")
        let plans = (0..<watchers).map { number in
            switch kind {
            case .range: WatchPlan(key: keys.first, end: keys.end)
            case .beside: WatchPlan(key: others.key(number), end: [])
            default: WatchPlan(key: keys.key(number), end: [])
            }
        }
        let fleet = try await WatchFleet(bench, plans, isStamped: true)
        // Every acknowledged put is one event, for all watches or for the key's own.
        let targets = kind == .beside ? bench.settings.keys : watchers
        let puts = Mutex([Int](repeating: 0, count: targets))
        let values = bench.values()
        let scripts: [LaneScript] = (0..<bench.settings.lanes).map { lane in
            var random = bench.random(lane)
            var last: Int?
            return ClosureScript { result in
                if let last, result != nil { puts.withLock { $0[last] += 1 } }
                let number = random.next(below: targets)
                last = number
                return .put(key: keys.key(number), value: values.stamped(&random), lease: 0)
            }
        }
        bench.begin()
        try await bench.session.run(scripts, pace: bench.pace, recorder: bench.recorder)
        let made = puts.withLock { $0 }
        let expected: [Int]
        switch kind {
        case .range: expected = [Int](repeating: made.reduce(0, +), count: watchers)
        case .beside: expected = [Int](repeating: 0, count: watchers)
        default: expected = made
        }
        var figures = await fleet.settle(expected: expected)
        figures["events/s"] = figures["events"]! / (bench.settings.warmUpSeconds + bench.settings.seconds)
        return figures
    }

    /// Watches that all begin where the history does, at once.
    private func catchUp(_ bench: WorkloadBench, _ keys: KeyMaker) async throws -> [String: Double] {
        let first = try await bench.session.perform(.get(key: mark(bench))).modRevision + 1
        let (history, keyCount) = (bench.settings.history, bench.settings.keys)
        let plans = (0..<bench.settings.watchers).map { number in
            kind == .catchUp
                ? WatchPlan(key: keys.first, end: keys.end, startRevision: first)
                : WatchPlan(key: keys.key(number % keyCount), end: [], startRevision: first)
        }
        // The history goes round the keys.
        let expected = plans.indices.map { number in
            let place = number % keyCount
            return kind == .catchUp ? history : place < history ? (history - place - 1) / keyCount + 1 : 0
        }
        bench.begin()
        let start = Clock.now()
        let fleet = try await WatchFleet(bench, plans, isStamped: false)
        var figures = await fleet.settle(expected: expected)
        let end = Clock.now()
        bench.recorder.record(.catchUp, lane: 0, began: start, ended: end)
        figures["seconds"] = Double(end - start) / 1e9
        figures["events/s"] = figures["events"]! / figures["seconds"]!
        return figures
    }
}
