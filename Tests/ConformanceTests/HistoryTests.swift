import Drover
import TestSupport
import Testing

@Suite("keys with many events since a revision", .timeLimit(.minutes(10)))
struct HistoryTests {
    private typealias State = [String: String]

    /// Keys of every kind that a way back can go wrong with: written in each of many revisions, created and deleted again
    /// and again, created late, deleted at last, and never written again, with the events of many others between.
    @Test("are found as they were, near and far, alone and in pages", arguments: Backend.selected)
    func longChains(backend: Backend) async throws {
        try await backend.withStore { store in
            var state: State = [:]
            var model: [Int64: State] = [:]

            func write(_ changes: [(key: String, value: String?)]) async throws {
                let operations = changes.map { key, value -> RequestOperation in
                    if let value { return .put(key, value) }
                    return .delete(key)
                }
                let response = try await store.txn(if: [], then: operations)
                for (key, value) in changes { state[key] = value }
                model[response.revision] = state
            }

            for key in ["h/churn", "h/hot", "h/quiet", "h/used"] { try await write([(key, "first")]) }
            // What is read back from a revision of the second half before the hot key's event is met.
            for step in 0..<180 {
                try await write((0..<25).map { (key: "h/other/\($0)", value: "\(step)/\($0)") })
            }
            for step in 0..<1_200 {
                var changes: [(key: String, value: String?)] = [
                    ("h/hot", "\(step)"), ("h/churn", step % 2 == 0 ? nil : "\(step)"),
                ]
                if step >= 300 { changes.append(("h/late", "\(step)")) }
                if step < 900 { changes.append(("h/used", "\(step)")) }
                if step == 900 { changes.append(("h/used", nil)) }
                try await write(changes)
            }

            let first = model.keys.min()!
            let newest = model.keys.max()!
            var revisions = Array(stride(from: first, through: newest, by: backend == .sqlite ? 17 : 61))
            revisions += [first + 3, first + 4, first + 183, first + 184, newest - 1, newest]
            for revision in revisions {
                guard let expected = model[revision] else { continue }
                let list = try await store.list(prefix: "h/", revision: revision)
                let found = list.kvs.map { ($0.keyString, $0.valueString) }
                #expect(Dictionary(uniqueKeysWithValues: found) == expected, "revision \(revision)")
                #expect(list.kvs.map(\.key) == expected.keys.sorted().map { Bytes($0.utf8) }, "revision \(revision)")
                #expect(list.kvs.allSatisfy { $0.modRevision <= revision }, "revision \(revision)")
                var request = RangeRequest(KeyRange(prefix: Bytes("h/".utf8)))
                request.revision = revision
                request.keysOnly = true
                let names = try await store.range(request)
                #expect(names.kvs.allSatisfy { $0.value.isEmpty } && names.kvs.map(\.key) == list.kvs.map(\.key))
                #expect(names.kvs.map(\.version) == list.kvs.map(\.version), "revision \(revision)")
                for key in ["h/churn", "h/hot", "h/late", "h/quiet", "h/used"] {
                    let kv = try await store.get(key, revision: revision)
                    #expect(kv?.valueString == expected[key], "\(key) at \(revision)")
                }
            }
        }
    }
}
