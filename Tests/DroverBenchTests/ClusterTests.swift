import Testing

@testable import DroverBench

@Suite("the cluster that the harness plays", .timeLimit(.minutes(1)))
struct ClusterTests {
    @Test("an object has one writer at a time, and is read before it is first changed")
    func writers() {
        let objects = ClusterObjects(counts: [20, 3, 3, 3, 3], round: 0)
        let folders = (0..<5).map { KeyMaker(prefix: "/\($0)/", size: .fixed(0), seed: 1) }
        let values = (0..<5).map { _ in ValueMaker(.fixed(16), seed: 1) }
        var writes = 0
        let lanes = (0..<8).map { lane in
            Apiserver(objects: objects, folders: folders, values: values, random: FastRandom(seed: UInt64(lane))) {
                if $1 { writes += 1 }
            }
        }
        var revision: Int64 = 1
        var revisions: [[UInt8]: Int64] = [:]
        var results = [OperationResult?](repeating: nil, count: lanes.count)
        var (conflicts, updates) = (0, 0)
        var created: Set<[UInt8]> = []
        for number in 0..<4_000 {
            let lane = number % lanes.count
            guard let operation = lanes[lane].next(after: results[lane]) else { break }
            var result = OperationResult()
            switch operation {
            case .get(let key):
                // Filled at revision 1.
                result.modRevision = revisions[key] ?? 1
            case .update(let key, let value, let expected):
                updates += 1
                #expect(value.count == 16)
                result.succeeded = expected == revisions[key] ?? 1
                if !result.succeeded { conflicts += 1 }
                revision += 1
                revisions[key] = revision
                result.modRevision = revision
            case .create(let key, _, _):
                #expect(created.insert(key).inserted, "a name was used twice")
                revision += 1
                result.revision = revision
            default: break
            }
            results[lane] = result
        }
        #expect(conflicts == 0 && updates > 500 && created.count > 200)
        #expect(writes > updates)
    }

    @Test("its rate: a renewal of each node's lease in ten seconds is four calls in ten")
    func rate() {
        #expect(BenchSettings.clusterRate(nodes: 1_000) == 250)
    }

    @Test("a value that is put begins with the moment from which its call counts")
    func stamp() {
        var operation = Operation.put(key: [1], value: [9], lease: 0)
        operation.stamp(0x0102_0304)
        guard case .put(_, let value, _) = operation else { return }
        #expect(value == [4, 3, 2, 1, 0, 0, 0, 0])
    }
}
