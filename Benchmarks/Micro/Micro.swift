import Benchmark
import Foundation
import Kernels

// Times the kernels; their instructions are counted by Benchmarks/instructions.py.
let benchmarks: @Sendable () -> Void = {
    let endpoints = ["DROVER_BENCH_POSTGRES", "DROVER_BENCH_MYSQL"].compactMap {
        ProcessInfo.processInfo.environment[$0]
    }
    for kernel in KernelCatalog.all(endpoints: endpoints) {
        let configuration = Benchmark.Configuration(
            metrics: [.wallClock, .cpuTotal, .throughput],
            timeUnits: .microseconds,
            warmupIterations: 10,
            maxDuration: .seconds(2),
            maxIterations: 100_000
        )
        nonisolated(unsafe) var prepared: KernelRun?
        Benchmark(kernel.name, configuration: configuration) { benchmark in
            for _ in benchmark.scaledIterations { try prepared!.body() }
        } setup: {
            prepared = try kernel.prepare()
        } teardown: {
            prepared?.finish()
        }
    }
}
