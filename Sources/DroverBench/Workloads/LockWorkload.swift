import Synchronization

/// Many that want one lock: from the call to the lock.
struct LockWorkload: Workload {
    func run(_ bench: WorkloadBench) async throws -> [String: Double] {
        let lanes = min(bench.settings.lanes, 50)
        let first = bench.firstLease
        let name = Array("\(bench.prefix)lock".utf8)
        // Longer than the round: nobody renews them.
        let seconds = 600 + Int64(bench.settings.seconds + bench.settings.warmUpSeconds)
        for lane in 0..<lanes { _ = try await bench.session.perform(.grant(id: first + Int64(lane), seconds: seconds)) }
        // Of each lane, since when it has waited for the lock: who starves is not to be left out.
        let waits = Waits(lanes)
        let scripts: [LaneScript] = (0..<lanes).map { lane in
            ClosureScript { result in
                if let result, !result.lockKey.isEmpty {
                    waits.value.withLock { $0[lane] = nil }
                    return .unlock(key: result.lockKey)
                }
                waits.value.withLock { $0[lane] = Clock.now() }
                return .lock(name: name, lease: first + Int64(lane))
            }
        }
        bench.begin()
        let (session, recorder) = (bench.session, bench.recorder)
        let isOpenLoop = bench.settings.rate > 0
        // In a closed loop whoever holds the lock when the time is over gives it to nobody, so everyone is sent home. In an open
        // one what is due is still made for a while, and what is not had until then is an error.
        let load = Task { try await session.run(scripts, pace: bench.pace, recorder: recorder) }
        let sendingHome = Task {
            let last = recorder.end &+ (isOpenLoop ? LoadRecorder.grace : 0) &+ 50_000_000
            let now = Clock.now()
            if now < last { try await Task.sleep(nanoseconds: last - now) }
            if !isOpenLoop { recorder.close() }
            let end = Clock.now()
            let open = waits.value.withLock { $0.compactMap { $0 }.map { Double(end - min(end, $0)) / 1e6 } }
            for lane in 0..<lanes { _ = try? await session.perform(.revoke(id: first + Int64(lane))) }
            // Whose lease could not be revoked.
            load.cancel()
            return open
        }
        defer { sendingHome.cancel() }
        try await load.value
        if isOpenLoop {
            sendingHome.cancel()
            _ = await sendingHome.result
            for lane in 0..<lanes { _ = try? await session.perform(.revoke(id: first + Int64(lane))) }
            return [:]
        }
        let open = try await sendingHome.value
        return ["still waiting at the end": Double(open.count), "longest such wait (ms)": open.max() ?? 0]
    }

    /// Since when each lane has waited for the lock, in nanoseconds of the clock; nil while it does not.
    private final class Waits: Sendable {
        let value: Mutex<[UInt64?]>

        init(_ lanes: Int) { value = Mutex(Array(repeating: nil, count: lanes)) }
    }
}
