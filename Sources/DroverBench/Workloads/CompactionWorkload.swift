/// Puts while a long history is compacted away: half of the time without, half with.
struct CompactionWorkload: Workload {
    func run(_ bench: WorkloadBench) async throws -> [String: Double] {
        if bench.settings.rate > 0 {
            throw OperationFailure(description: "compaction is measured in a closed loop; leave the rate out")
        }
        let keys = bench.keys("c/")
        try await bench.writeHistory(keys)
        let revision = try await bench.session.perform(.count(key: keys.first, end: keys.end)).revision
        let values = bench.values()
        bench.begin()
        let middle = bench.recorder.begin + (bench.recorder.end - bench.recorder.begin) / 2
        let before = LoadRecorder(parts: 8, begin: bench.recorder.begin, end: middle)
        let during = LoadRecorder(parts: 8, begin: middle, end: bench.recorder.end)
        func scripts() -> [LaneScript] {
            (0..<bench.settings.lanes).map { lane in
                var random = bench.random(lane)
                return ClosureScript { _ in
                    .put(
                        key: keys.key(random.next(below: bench.settings.keys)),
                        value: values.next(&random),
                        lease: 0
                    )
                }
            }
        }
        try await bench.session.run(scripts(), pace: bench.pace, recorder: before)
        async let compaction = compact(bench, revision)
        try await bench.session.run(scripts(), pace: bench.pace, recorder: during)
        // Of its call: a server may take away later what it has marked.
        var figures = ["compaction answered (ms)": try await compaction]
        for (name, recorder) in [("before", before), ("during", during)] {
            let times = recorder.total().series[OperationKind.put.rawValue]?.times
            figures["p99 \(name) (us)"] = Double(times?.valueAtPercentile(99) ?? 0) / 1_000
            figures["puts/s \(name)"] = Double(times?.totalCount ?? 0) / (Double(middle - bench.recorder.begin) / 1e9)
        }
        let (calm, busy) = (figures["p99 before (us)"]!, figures["p99 during (us)"]!)
        figures["p99 during, to before"] = calm > 0 ? busy / calm : 0
        bench.recorder.absorb(before)
        bench.recorder.absorb(during)
        return figures
    }

    private func compact(_ bench: WorkloadBench, _ revision: Int64) async throws -> Double {
        let began = Clock.now()
        _ = try await bench.session.perform(.compact(revision: revision))
        return Double(Clock.now() - began) / 1e6
    }
}
