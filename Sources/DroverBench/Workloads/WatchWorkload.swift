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
        let puts = Mutex((made: [Int](repeating: 0, count: targets), unsure: [Int](repeating: 0, count: targets)))
        let values = bench.values()
        let scripts: [LaneScript] = (0..<bench.settings.lanes).map { lane in
            var random = bench.random(lane)
            var last: Int?
            return ClosureScript(isStamped: true) { result in
                if let last {
                    puts.withLock { if result != nil { $0.made[last] += 1 } else { $0.unsure[last] += 1 } }
                }
                let number = random.next(below: targets)
                last = number
                return .put(key: keys.key(number), value: values.next(&random), lease: 0)
            }
        }
        bench.begin()
        try await bench.session.run(scripts, pace: bench.pace, recorder: bench.recorder)
        let (made, unsure) = puts.withLock { $0 }
        func ofWatches(_ counts: [Int]) -> [Int] {
            switch kind {
            case .range: [Int](repeating: counts.reduce(0, +), count: watchers)
            case .beside: [Int](repeating: 0, count: watchers)
            default: counts
            }
        }
        // What is told while puts go on; the rest is waited for, and all of it accounted for.
        let told = Double(bench.recorder.told.load(ordering: .relaxed)) / bench.settings.seconds
        var figures = await fleet.settle(expected: ofWatches(made), unsure: ofWatches(unsure))
        figures["events/s"] = told
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
        // Not what it took to be sure that nothing comes twice, and to end the watches.
        let end = max(start + 1, fleet.lastTold)
        bench.recorder.record(.catchUp, lane: 0, began: start, ended: end)
        figures["seconds"] = Double(end - start) / 1e9
        figures["events/s"] = figures["events"]! / figures["seconds"]!
        return figures
    }
}
