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

    /// One after the other, each of them took SQLite tens of milliseconds.
    @Test("hundreds of keys that were all written hundreds of times since are found soon", arguments: Backend.selected)
    func manyFarKeys(backend: Backend) async throws {
        try await backend.withStore { store in
            let names = (0..<300).map { "m/\(1_000 + $0)" }
            func write(_ names: [String], _ value: String) async throws {
                for start in stride(from: 0, to: names.count, by: 100) {
                    _ = try await store.txn(if: [], then: names[start...].prefix(100).map { .put($0, value) })
                }
            }
            try await write(names, "old")
            // Never written again, between the others, and deleted and made anew.
            try await write((0..<100).map { "m/\(1_000 + 3 * $0)quiet" }, "quiet")
            _ = try await store.delete("m/1007")
            let old = try await store.revision()
            for step in 0..<400 { try await write(names.shuffled(), "\(step)") }

            let begun = ContinuousClock.now
            let list = try await store.list(prefix: "m/", revision: old)
            let took = ContinuousClock.now - begun
            let expected = (names.filter { $0 != "m/1007" } + (0..<100).map { "m/\(1_000 + 3 * $0)quiet" }).sorted()
            #expect(list.kvs.map(\.keyString) == expected)
            #expect(list.kvs.allSatisfy { $0.valueString == ($0.keyString.hasSuffix("quiet") ? "quiet" : "old") })
            // 20 to 40 ms on a quiet machine.
            #expect(took < .seconds(1), "\(took)")
            var request = RangeRequest(KeyRange(prefix: Bytes("m/".utf8)))
            request.revision = old
            request.limit = 70
            let page = try await store.range(request)
            #expect(page.kvs == Array(list.kvs.prefix(70)) && page.more && page.count == Int64(expected.count))
        }
    }

    /// As lists do that leave in pieces.
    @Test("a reader that has had enough is given no more, wherever that is", arguments: Backend.selected)
    func enough(backend: Backend) async throws {
        try await backend.withStore { store in
            let names = (0..<200).map { "e/\(1_000 + $0)" }
            _ = try await store.txn(if: [], then: names.prefix(100).map { .put($0, "old") })
            _ = try await store.txn(if: [], then: names.suffix(100).map { .put($0, "old") })
            let old = try await store.revision()
            // The first hundred are far back, every third of the others too.
            for step in 0..<180 {
                let changed = names.enumerated().filter { $0.offset < 100 || $0.offset % 3 == 0 }.map(\.element)
                _ = try await store.txn(if: [], then: changed.shuffled().prefix(128).map { .put($0, "\(step)") })
            }
            let range = KeyRange(prefix: Bytes("e/".utf8))
            for most in [1, 2, 63, 64, 65, 99, 100, 101, 128, 150, 199, 200] {
                for expecting in [1, most, .max] {
                    let seen = try await store.onReader { _, reader in
                        defer { reader.endSnapshot() }
                        _ = try reader.beginSnapshot()
                        var seen: [String] = []
                        try reader.scan(range, at: old, values: false, expecting: expecting) { row in
                            seen.append(String(decoding: row.key, as: UTF8.self))
                            return seen.count < most
                        }
                        return seen
                    }
                    #expect(seen == Array(names.prefix(most)), "\(most), expecting \(expecting)")
                }
            }
        }
    }

    /// Longer than the part that MariaDB sorts by unless it is told otherwise.
    @Test("keys that differ in their last bytes alone are told apart at old revisions", arguments: Backend.selected)
    func longKeys(backend: Backend) async throws {
        try await backend.withStore { store in
            func key(_ i: Int) -> String {
                // Lengths go the other way than the order.
                String(repeating: "k", count: 1_500) + String(i + 1_000) + String(repeating: "x", count: 300 - i)
            }
            let places = Array(0..<300)
            for i in places.shuffled() { try await store.put(key(i), "\(i)") }
            let old = try await store.revision()
            for i in places.shuffled() where i % 3 > 0 {
                if i % 3 == 1 { try await store.put(key(i), "new") } else { _ = try await store.delete(key(i)) }
            }
            // Far behind, so that the log is read back too.
            for i in 0..<200 { try await store.put(key(1), "again \(i)") }
            let list = try await store.list(prefix: "k", revision: old)
            #expect(list.kvs.map(\.keyString) == places.map(key))
            #expect(list.kvs.map(\.valueString) == places.map(String.init))
            var request = RangeRequest(KeyRange(prefix: Bytes("k".utf8)))
            request.revision = old
            request.limit = 37
            var paged: [String] = []
            while true {
                let page = try await store.range(request)
                paged += page.kvs.map(\.keyString)
                if !page.more { break }
                request.range = KeyRange(lower: page.kvs.last!.key + [0], upper: request.range.upper)
            }
            #expect(paged == places.map(key))
        }
    }
}
