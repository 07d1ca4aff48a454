import Synchronization

/// Many leases, each kept alive every ten seconds, while others are granted for two and left to expire.
struct LeaseWorkload: Workload {
    func run(_ bench: WorkloadBench) async throws -> [String: Double] {
        let count = bench.settings.leases
        let first = bench.firstLease
        let granting = min(bench.settings.lanes, 200)
        let quick = LoadRecorder(parts: 1, begin: 0, end: .max)
        try await bench.session.run(
            (0..<granting).map { lane in
                var next = lane
                return ClosureScript { _ in
                    defer { next += granting }
                    return next < count ? .grant(id: first + Int64(next), seconds: 60) : nil
                }
            },
            pace: .closed,
            recorder: quick
        )
        let errors = quick.total().errors.values.reduce(0, +)
        if errors > 0 { throw OperationFailure(description: "\(errors) leases could not be granted") }
        // Those that expire have a key each, whose end a watch tells.
        let keys = bench.keys("e/")
        let expiring = min(100, max(1, count / 10))
        let fleet = try await WatchFleet(bench, [WatchPlan(key: keys.first, end: keys.end)], isStamped: false)
        for number in 0..<expiring {
            let id = first + 1_000_000 + Int64(number)
            _ = try await bench.session.perform(.grant(id: id, seconds: 2))
            _ = try await bench.session.perform(.put(key: keys.key(number), value: [1], lease: id))
        }
        let gone = Mutex(0)
        let lanes = min(bench.settings.lanes, 100)
        let scripts: [LaneScript] = (0..<lanes).map { lane in
            var next = lane
            return ClosureScript { result in
                if let result, !result.succeeded { gone.withLock { $0 += 1 } }
                defer { next += lanes }
                if next >= count { next %= lanes }
                return .keepAlive(id: first + Int64(next % count))
            }
        }
        // Every lease once in ten seconds, unless another rate is asked for.
        let rate = bench.settings.rate > 0 ? bench.settings.rate : max(1, Double(count) / 10)
        bench.begin()
        try await bench.session.run(scripts, pace: .open(callsPerSecond: rate), recorder: bench.recorder)
        var figures = await fleet.settle(expected: [2 * expiring])
        figures["revoked early"] = Double(gone.withLock { $0 })
        for number in 0..<count { _ = try? await bench.session.perform(.revoke(id: first + Int64(number))) }
        return figures
    }
}
