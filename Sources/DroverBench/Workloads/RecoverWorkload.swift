/// From opening a store that holds keys until its first answer.
struct RecoverWorkload: Workload {
    var isMeasuredOnce: Bool { true }

    private static let notHere = OperationFailure(description: "only a store that is opened here can be opened anew")

    func prepare(_ bench: WorkloadBench) async throws {
        guard bench.target.isInProcess else { throw Self.notHere }
        if bench.round == 0 { try await bench.fill(bench.keys("k/"), 0..<bench.settings.keys) }
    }

    func run(_ bench: WorkloadBench) async throws -> [String: Double] {
        await bench.session.close()
        bench.begin()
        let began = Clock.now()
        let session = try await bench.target.open(connections: 1)
        let reply = try await session.perform(.get(key: bench.keys("k/").key(0)))
        bench.recorder.record(.recover, lane: 0, began: began, ended: Clock.now(), keys: reply.keys)
        if reply.keys != 1 || reply.bytes == 0 {
            bench.recorder.fail("a key was lost", lane: 0, began: began)
        }
        await session.close()
        return ["keys": Double(bench.settings.keys)]
    }
}
