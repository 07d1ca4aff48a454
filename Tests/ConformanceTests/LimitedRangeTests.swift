import Drover
import TestSupport
import Testing

/// Ranges of which a limit leaves a part, beside the same worked out by hand.
@Suite("ranges with limits, filters and orders", .timeLimit(.minutes(2)))
struct LimitedRangeTests {
    @Test("what is shown, how many there are, and whether there is more", arguments: Backend.selected)
    func limited(backend: Backend) async throws {
        try await backend.withStore { store in
            var random = SeededGenerator(seed: 3)
            for i in 0..<60 { try await store.put("k/\(i)", "\(Int.random(in: 0..<20, using: &random))") }
            for _ in 0..<60 {
                try await store.put(
                    "k/\(Int.random(in: 0..<60, using: &random))",
                    "\(Int.random(in: 0..<20, using: &random))"
                )
            }
            let all = try await store.list(prefix: "k/").kvs
            for limit in [0, 1, 2, 7, 30, 59, 60, 61, Int64.max] {
                for filter in [0, 40, 80, 1_000] as [Int64] {
                    for order in [RangeRequest.SortOrder.none, .ascend, .descend] {
                        for target in [RangeRequest.SortTarget.key, .value, .mod, .version] {
                            var request = RangeRequest(KeyRange(prefix: Bytes("k/".utf8)))
                            request.limit = limit
                            request.minModRevision = filter
                            request.sortOrder = order
                            request.sortTarget = target
                            let reply = try await store.range(request)
                            let admitted = all.filter { $0.modRevision >= filter }
                            let most = limit == 0 ? admitted.count : Int(min(limit, Int64(admitted.count)))
                            #expect(reply.count == 60 && reply.kvs.count == most, "\(request)")
                            #expect(reply.more == (admitted.count > most), "\(request)")
                            #expect(Set(reply.kvs.map(\.keyString)).count == most)
                            #expect(reply.kvs.allSatisfy { kv in admitted.contains { $0 == kv } })
                            if target == .value && order == .ascend {
                                let values = admitted.map(\.valueString).sorted().prefix(most)
                                #expect(reply.kvs.map(\.valueString) == Array(values), "\(request)")
                            }
                            if target == .key && order != .descend {
                                #expect(reply.kvs.map(\.keyString) == admitted.prefix(most).map(\.keyString))
                            }
                        }
                    }
                }
            }
        }
    }

    @Test("counts are right though the changes that move them are not all kept", arguments: Backend.selected)
    func counts(backend: Backend) async throws {
        for most in [0, 300, 1 << 20] {
            var limits = Limits()
            limits.countDeltaBytes = most
            limits.countBlockKeys = 4
            try await backend.withStore(limits: limits) { store in
                for i in 0..<40 { try await store.put("k/\(i)", "v") }
                var request = RangeRequest(.all)
                request.countOnly = true
                #expect(try await store.range(request).count == 40)
                try await Task.sleep(nanoseconds: 50_000_000)
                #expect(try await store.range(request).count == 40)
                let filler = String(repeating: "x", count: 100)
                for i in 0..<20 { try await store.put("l/\(filler)\(i)", "v") }
                #expect(try await store.range(request).count == 60, "\(most) bytes")
                for i in 0..<5 { try await store.delete("l/\(filler)\(i)") }
                #expect(try await store.range(request).count == 55, "\(most) bytes")
            }
        }
    }
}
