import Drover
import Testing

@Suite("transactions", .timeLimit(.minutes(10)))
struct TxnTests {
    @Test("branches, reads that see earlier writes, and header revisions", arguments: Backend.selected)
    func branches(backend: Backend) async throws {
        try await backend.withStore { store in
            let first = try await store.txn(
                if: [.isMissing("a")],
                then: [.get("a"), .put("a", "1"), .get("a"), .delete("b")],
                else: [.get("a")]
            )
            #expect(first.succeeded && first.revision == 2)
            guard case .range(let before) = first.responses[0], case .put(let put) = first.responses[1],
                case .range(let after) = first.responses[2], case .deleteRange(let deletion) = first.responses[3]
            else {
                Issue.record("the answers do not go with the operations")
                return
            }
            #expect(before.revision == 1 && before.kvs.isEmpty)
            #expect(put.revision == 2)
            #expect(after.revision == 2 && after.kvs.first?.valueString == "1" && after.kvs.first?.modRevision == 2)
            #expect(deletion.revision == 2 && deletion.deleted == 0)
            let second = try await store.txn(if: [.isMissing("a")], then: [.put("a", "2")], else: [.get("a")])
            #expect(!second.succeeded && second.revision == 2)
            let empty = try await store.txn(TxnRequest())
            #expect(empty.succeeded && empty.responses.isEmpty && empty.revision == 2)
        }
    }

    @Test("a failing transaction leaves nothing behind, nor spoils its neighbours", arguments: Backend.selected)
    func atomicity(backend: Backend) async throws {
        try await backend.withStore { store in
            await withTaskGroup(of: Void.self) { group in
                for i in 0..<200 {
                    group.addTask {
                        if i % 2 == 0 {
                            _ = try? await store.put("good/\(i)", "1")
                        } else {
                            _ = try? await store.txn(
                                if: [],
                                then: [.put("bad/\(i)", "1"), .put("bad", "1", lease: 99)]
                            )
                        }
                    }
                }
            }
            let good = try await store.list(prefix: "good/")
            #expect(good.count == 100)
            #expect(try await store.list(prefix: "bad").count == 0)
            #expect(try await store.revision() == 101)
        }
    }

    @Test("nested transactions compare before anything is applied", arguments: Backend.selected)
    func nested(backend: Backend) async throws {
        try await backend.withStore { store in
            let inner = TxnRequest(
                compares: [.isMissing("a")],
                success: [.put("seen", "missing")],
                failure: [.put("seen", "there")]
            )
            let response = try await store.txn(TxnRequest(success: [.put("a", "1"), .txn(inner)]))
            guard case .txn(let nested) = response.responses[1] else {
                Issue.record("no nested answer")
                return
            }
            #expect(nested.succeeded)
            #expect(try await store.get("seen")?.valueString == "missing")
            #expect(try await store.get("seen")?.modRevision == 2)
        }
    }

    @Test("range compares hold for every key", arguments: Backend.selected)
    func rangeCompares(backend: Backend) async throws {
        try await backend.withStore { store in
            for i in 0..<5 { try await store.put("r/\(i)", "v") }
            let range = KeyRange(prefix: Bytes("r/".utf8))
            func holds(_ target: Compare.Target, _ relation: Compare.Relation) async throws -> Bool {
                try await store.txn(if: [Compare(range, target, relation)], then: []).succeeded
            }
            #expect(try await holds(.value(Bytes("v".utf8)), .equal))
            #expect(try await holds(.version(1), .equal))
            #expect(try await holds(.modRevision(6), .less) == false)
            #expect(try await holds(.modRevision(7), .less))
            let none = KeyRange(prefix: Bytes("none/".utf8))
            #expect(try await store.txn(if: [Compare(none, .version(0))], then: []).succeeded)
            #expect(try await store.txn(if: [Compare(none, .value([]))], then: []).succeeded == false)
            #expect(try await store.txn(if: [Compare(none, .value([1]), .notEqual)], then: []).succeeded == false)
        }
    }

    @Test("what may not be in one transaction")
    func validation() throws {
        let validator = RequestValidator(maximumTxnOperations: 4, maximumKeyBytes: 100)
        func code(_ request: TxnRequest) -> DroverError.Code? {
            do {
                try validator.check(request)
                return nil
            } catch {
                return error.code
            }
        }
        #expect(code(TxnRequest(success: [.put("a", "1"), .put("a", "2")])) == .duplicateKey)
        #expect(code(TxnRequest(success: [.put("a", "1")], failure: [.put("a", "2")])) == nil)
        #expect(code(TxnRequest(success: [.put("a", "1"), .delete("a")])) == .duplicateKey)
        #expect(code(TxnRequest(success: [.delete("a"), .delete("a")])) == nil)
        // etcd reads the end of an open range literally in this check, and lets such a put pass.
        let open = RequestOperation.deleteRange(DeleteRangeRequest(KeyRange(key: Bytes("a".utf8), rangeEnd: [0])))
        #expect(code(TxnRequest(success: [open, .put("b", "1")])) == nil)
        let either = TxnRequest(success: [.put("n", "1")], failure: [.put("n", "2")])
        #expect(code(TxnRequest(success: [.txn(either)])) == nil)
        #expect(code(TxnRequest(success: [.txn(either), .put("n", "3")])) == .duplicateKey)
        #expect(code(TxnRequest(success: [.txn(either), .txn(either)])) == .duplicateKey)
        #expect(code(TxnRequest(success: (0..<5).map { .put("\($0)", "") })) == .tooManyOperations)
        #expect(code(TxnRequest(success: [.put("", "")])) == .emptyKey)
        var deep = TxnRequest(success: [.get("a")])
        for _ in 0..<4 { deep = TxnRequest(success: [.txn(deep)]) }
        #expect(code(deep) == .tooManyOperations)
        #expect(code(TxnRequest(success: [.put(String(repeating: "k", count: 101), "")])) == .keyTooLong)
    }

    @Test("compare-and-swap has one winner in each of 10,000 rounds", arguments: Backend.selected)
    func oneWinner(backend: Backend) async throws {
        try await backend.withStore { store in
            try await store.put("cas", "0")
            var revision = try #require(try await store.get("cas")).modRevision
            for round in 0..<10_000 {
                let expected = revision
                let winners = try await withThrowingTaskGroup(of: Int64?.self) { group in
                    for racer in 0..<3 {
                        group.addTask {
                            let answer = try await store.txn(
                                if: [.modRevision(of: "cas", .equal, expected)],
                                then: [.put("cas", "\(round)/\(racer)")]
                            )
                            return answer.succeeded ? answer.revision : nil
                        }
                    }
                    return try await group.reduce(into: [Int64]()) { if let won = $1 { $0.append(won) } }
                }
                #expect(winners.count == 1)
                revision = winners.first ?? revision
            }
            #expect(try await store.get("cas")?.version == 10_001)
        }
    }

    @Test("a transaction with those in it has at most 32 times as many operations as one", arguments: Backend.selected)
    func nestedOperations(backend: Backend) async throws {
        try await backend.withStore { store in
            func nested(_ lists: Int) -> TxnRequest {
                var request = TxnRequest()
                for list in 0..<lists {
                    var inner = TxnRequest()
                    inner.success = (0..<60).map { .put("n/\(list)/\($0)", "") }
                    request.success.append(.txn(inner))
                }
                return request
            }
            let response = try await store.txn(nested(60))
            #expect(response.succeeded)
            #expect(try await store.list(prefix: "n/").count == 3_600)
            await #expect { try await store.txn(nested(68)) } throws: {
                ($0 as? DroverError)?.code == .tooManyOperations
            }
            let begun = ContinuousClock.now
            await #expect(throws: DroverError.self) {
                var request = TxnRequest()
                var wide = TxnRequest()
                wide.success = (0..<40).map { _ in .txn(nested(40)) }
                request.success = [.txn(wide)]
                _ = try await store.txn(request)
            }
            #expect(begun.duration(to: .now) < .seconds(2))
        }
    }
}
