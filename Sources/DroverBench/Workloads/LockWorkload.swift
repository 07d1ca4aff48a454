import Synchronization

/// Many that want one lock: from the call to the lock.
struct LockWorkload: Workload {
    func run(_ bench: WorkloadBench) async throws -> [String: Double] {
        if bench.target.isInProcess {
            throw OperationFailure(description: "locks are a service of servers; give an endpoint")
        }
        if bench.settings.rate > 0 {
            throw OperationFailure(description: "locks are measured in a closed loop; leave the rate out")
        }
        let lanes = min(bench.settings.lanes, 50)
        let first = bench.firstLease
        let name = Array("\(bench.prefix)lock".utf8)
        // Longer than the round: nobody renews them.
        let seconds = 600 + Int64(bench.settings.seconds + bench.settings.warmUpSeconds)
        for lane in 0..<lanes { _ = try await bench.session.perform(.grant(id: first + Int64(lane), seconds: seconds)) }
        // Of each lane, since when it has waited for the lock: who starves is not to be left out.
        let waits = Mutex([UInt64?](repeating: nil, count: lanes))
        let scripts: [LaneScript] = (0..<lanes).map { lane in
            ClosureScript { result in
                if let result, !result.lockKey.isEmpty {
                    waits.withLock { $0[lane] = nil }
                    return .unlock(key: result.lockKey)
                }
                waits.withLock { $0[lane] = Clock.now() }
                return .lock(name: name, lease: first + Int64(lane))
            }
        }
        bench.begin()
        async let load: Void = bench.session.run(scripts, pace: .closed, recorder: bench.recorder)
        // Whoever holds the lock when the time is over gives it to nobody, so everyone is sent home.
        let now = Clock.now()
        if now < bench.recorder.end { try await Task.sleep(nanoseconds: bench.recorder.end - now + 50_000_000) }
        bench.recorder.close()
        let end = Clock.now()
        let open = waits.withLock { $0.compactMap { $0 }.map { Double(end - min(end, $0)) / 1e6 } }
        for lane in 0..<lanes { _ = try? await bench.session.perform(.revoke(id: first + Int64(lane))) }
        try await load
        return ["still waiting at the end": Double(open.count), "longest such wait (ms)": open.max() ?? 0]
    }
}
