/// Many leases, each kept alive every ten seconds, while others are granted for two and left to expire.
struct LeaseWorkload: Workload {
    func run(_ bench: WorkloadBench) async throws -> [String: Double] {
        let count = bench.settings.leases
        let first = bench.firstLease
        // Every lease once in ten seconds, unless another rate is asked for.
        let cycle = bench.settings.rate > 0 ? Double(count) / bench.settings.rate : 10
        // Long enough for two renewals, and for the first when many others are granted before.
        let seconds = max(60, Int64(min(cycle * 3, 1e6)) + Int64(count / 500))
        let failed = try await all(bench, count) { .grant(id: first + $0, seconds: seconds) }
        if failed > 0 { throw OperationFailure(description: "\(failed) leases could not be granted") }
        // Those that expire have a key each, whose end a watch tells.
        let keys = bench.keys("e/")
        let expiring = min(100, max(1, count / 10))
        let fleet = try await WatchFleet(bench, [WatchPlan(key: keys.first, end: keys.end)], isStamped: false)
        for number in 0..<expiring {
            let id = first + 1_000_000 + Int64(number)
            _ = try await bench.session.perform(.grant(id: id, seconds: 2))
            _ = try await bench.session.perform(.put(key: keys.key(number), value: [1], lease: id))
        }
        let plan = KeepAlivePlan(first: first, count: count, cycleSeconds: cycle)
        bench.begin()
        let gone = try await bench.session.keepAlive(
            plan,
            clients: bench.settings.connections,
            recorder: bench.recorder
        )
        var figures = await fleet.settle(expected: [2 * expiring])
        figures["revoked early"] = Double(gone)
        _ = try await all(bench, count) { .revoke(id: first + $0) }
        return figures
    }

    /// Makes a call for each lease, many at a time, untimed.
    ///
    /// - Returns: how many failed.
    private func all(
        _ bench: WorkloadBench,
        _ count: Int,
        _ call: @escaping @Sendable (Int64) -> Operation
    ) async throws -> Int {
        let lanes = min(bench.settings.lanes, 200)
        let recorder = LoadRecorder(parts: 1, begin: 0, end: .max)
        let scripts: [LaneScript] = (0..<lanes).map { lane in
            var next = lane
            return ClosureScript { _ in
                defer { next += lanes }
                return next < count ? call(Int64(next)) : nil
            }
        }
        try await bench.session.run(scripts, pace: .closed, recorder: recorder)
        return recorder.total().errors.values.reduce(0, +)
    }
}
