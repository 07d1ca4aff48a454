import Testing

@testable import DroverBench

@Suite("when leases are renewed", .timeLimit(.minutes(1)))
struct KeepAlivePlanTests {
    @Test("each once in its time, whatever the rate", arguments: [0.2, 0.5, 0.9, 1, 7.3, 10, 100])
    func rates(cycle: Double) {
        let (count, clients) = (1_000, 7)
        let plan = KeepAlivePlan(first: 5, count: count, cycleSeconds: cycle)
        var times = [Int](repeating: 0, count: count)
        let bursts = 2_000
        for burst in 0..<bursts {
            for client in 0..<clients {
                for lease in plan.due(burst: burst, client: client, of: clients) { times[Int(lease) - 5] += 1 }
            }
        }
        let expected = Double(bursts) * 0.5 / cycle
        #expect(
            times.allSatisfy { abs(Double($0) - expected) <= 1.01 },
            "\(times.min()!) to \(times.max()!) of \(expected)"
        )
    }
}
