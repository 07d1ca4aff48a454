import Synchronization

/// Puts while a long history is compacted away: half of the time without, then while it goes on, then what is left.
struct CompactionWorkload: Workload {
    func run(_ bench: WorkloadBench) async throws -> [String: Double] {
        let keys = bench.keys("c/")
        try await bench.writeHistory(keys)
        let revision = try await bench.session.perform(.count(key: keys.first, end: keys.end)).revision
        let values = bench.values()
        bench.begin()
        let middle = bench.recorder.begin + (bench.recorder.end - bench.recorder.begin) / 2
        func recorder(from begin: UInt64, to end: UInt64) -> LoadRecorder {
            let recorder = LoadRecorder(parts: 8, isOpenLoop: bench.settings.rate > 0)
            recorder.open(from: begin, to: end)
            return recorder
        }
        let before = recorder(from: bench.recorder.begin, to: middle)
        let during = recorder(from: middle, to: bench.recorder.end)
        let isCompacted = Flag()
        func scripts(until flag: Flag = Flag()) -> [LaneScript] {
            (0..<bench.settings.lanes).map { lane in
                var random = bench.random(lane)
                return ClosureScript { _ in
                    if flag.isSet { return nil }
                    let key = keys.key(random.next(below: bench.settings.keys))
                    return .put(key: key, value: values.next(&random), lease: 0)
                }
            }
        }
        bench.recorder.show(before)
        try await bench.session.run(scripts(), pace: bench.pace, recorder: before)
        bench.recorder.show(during)
        async let compaction = compact(bench, revision, isCompacted)
        try await bench.session.run(scripts(until: isCompacted), pace: bench.pace, recorder: during)
        let ended = min(Clock.now(), bench.recorder.end)
        let after = recorder(from: ended, to: bench.recorder.end)
        if ended < bench.recorder.end {
            bench.recorder.show(after)
            try await bench.session.run(scripts(), pace: bench.pace, recorder: after)
        }
        // Until its answer, which tells that what was compacted away is gone.
        var figures = ["compaction (ms)": try await compaction]
        for (name, recorder, nanoseconds) in [
            ("before", before, middle - bench.recorder.begin), ("during", during, max(1, ended - min(middle, ended))),
        ] {
            // A compaction that is over at once says nothing of calls beside it.
            guard let times = recorder.total().series[OperationKind.put.rawValue]?.times, times.totalCount >= 100
            else { continue }
            figures["p99 \(name) (us)"] = Double(times.valueAtPercentile(99)) / 1_000
            figures["puts/s \(name)"] = Double(times.totalCount) / (Double(nanoseconds) / 1e9)
        }
        if let calm = figures["p99 before (us)"], let busy = figures["p99 during (us)"], calm > 0 {
            figures["p99 during, to before"] = busy / calm
        }
        bench.recorder.show(nil)
        bench.recorder.absorb(before)
        bench.recorder.absorb(during)
        bench.recorder.absorb(after)
        return figures
    }

    private func compact(_ bench: WorkloadBench, _ revision: Int64, _ isCompacted: Flag) async throws -> Double {
        defer { isCompacted.set() }
        let began = Clock.now()
        _ = try await bench.session.perform(.compact(revision: revision))
        return Double(Clock.now() - began) / 1e6
    }
}

/// Told of once, and looked at by many lanes.
private final class Flag: Sendable {
    private let value = Atomic<Bool>(false)

    var isSet: Bool { value.load(ordering: .relaxed) }

    func set() { value.store(true, ordering: .relaxed) }
}
