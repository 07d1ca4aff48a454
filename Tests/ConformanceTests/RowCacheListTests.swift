@testable import Drover
import TestSupport
import Testing

/// Lists whose values come from memory are those that the database would give.
@Suite("lists of kept values", .timeLimit(.minutes(5)))
struct RowCacheListTests {
    private func value(_ key: Int, _ round: Int) -> String {
        // Of every length that matters: none, few bytes, and longer than what comes with others.
        switch key % 50 {
        case 0: ""
        case 1: String(repeating: "\(round),", count: 60_000)
        default: "\(key) in round \(round) " + String(repeating: "x", count: key)
        }
    }

    private func key(_ number: Int) -> String { "list/" + String(1_000 + number) }

    @Test("they are right at every revision, as keys change, go and come again", arguments: Backend.selected)
    func changes(backend: Backend) async throws {
        try await backend.withStore { store in
            let count = 300
            var live: [String: String] = [:]
            var known: [(revision: Int64, state: [String: String])] = []
            func check(_ revision: Int64 = 0, _ state: [String: String]) async throws {
                let reply = try await store.list(prefix: "list/", revision: revision)
                let found = reply.kvs.map { ($0.keyString, $0.valueString) }
                let expected = state.sorted { $0.key < $1.key }
                #expect(found.map(\.0) == expected.map(\.key))
                #expect(zip(found, expected).allSatisfy { $0.1 == $1.value }, "values at \(revision)")
            }
            for number in 0..<count {
                live[key(number)] = value(number, 0)
                try await store.put(key(number), live[key(number)]!)
            }
            // Committed while they are listed, so that all are kept.
            for _ in 0..<2 { try await check(0, live) }
            for number in 0..<count { try await store.put(key(number), live[key(number)]!) }
            for round in 1...6 {
                // Often enough that most values are kept and the list is read apart.
                for _ in 0..<8 { try await check(0, live) }
                #expect(store.driver.rowCache!.share >= 500, "\(store.driver.rowCache!.share) in round \(round)")
                let before = (revision: try await store.revision(), state: live)
                known.append(before)
                for number in stride(from: round, to: count, by: 7) {
                    if number % 3 == 0 {
                        try await store.delete(key(number))
                        live[key(number)] = nil
                    } else {
                        live[key(number)] = value(number, round)
                        try await store.put(key(number), live[key(number)]!)
                    }
                }
                if round == 4 {
                    // Gone and come again, with the version that it had.
                    try await store.delete(key(2))
                    try await store.put(key(2), "anew")
                    live[key(2)] = "anew"
                }
                try await check(0, live)
                for (revision, state) in known { try await check(revision, state) }
                // A page, and what a transaction reads.
                let page = try await store.list(prefix: "list/", limit: 100)
                #expect(page.kvs.map(\.keyString) == Array(live.keys.sorted().prefix(100)))
                #expect(page.kvs.allSatisfy { $0.valueString == live[$0.keyString] })
            }
            for number in 0..<count {
                let found = try await store.get(key(number))
                #expect(found?.valueString == live[key(number)])
            }
        }
    }

    /// As Kubernetes' objects are: few, listed often, and written again and again.
    @Test("values are kept as they are committed, whether few of them have room or all", arguments: Backend.selected)
    func committed(backend: Backend) async throws {
        for room in [16 << 20, 256 << 10] {
            try await withTemporaryDirectory { directory in
                var configuration = StoreConfiguration()
                configuration.logger = quietLogger
                let store = try Store(
                    driver: try backend.makeDriver(directory, cachedRowBytes: room),
                    configuration: configuration
                )
                let result = await Result { try await writeAndList(store) }
                let (rows, kept, bytes) = store.metrics().cachedRows
                await store.close()
                try result.get()
                #expect(bytes <= room && kept > 0)
                if room > 1 << 20 { #expect(kept > rows / 4, "\(kept) of \(rows) rows were kept") }
            }
        }
    }

    private func writeAndList(_ store: Store) async throws {
        var live: [String: String] = [:]
        var states: [(revision: Int64, state: [String: String])] = []
        for round in 0..<12 {
            for start in stride(from: 0, to: 200, by: 50) {
                let changes = (start..<start + 50).map { number -> (key: String, value: String?) in
                    // Some come and go.
                    let isGone = number % 10 == 9 && (number + round) % 3 == 0
                    let text = "\(number) in round \(round) " + String(repeating: "y", count: 1_000 + number)
                    return (key(number), isGone ? nil : text)
                }
                let operations = changes.map { key, value -> RequestOperation in
                    if let value { return .put(key, value) }
                    return .delete(key)
                }
                let reply = try await store.txn(if: [], then: operations)
                for (key, value) in changes { live[key] = value }
                states.append((reply.revision, live))
            }
            for (revision, state) in [(0, live)] + states.suffix(9) {
                let reply = try await store.list(prefix: "list/", revision: revision)
                let expected = state.sorted { $0.key < $1.key }
                #expect(reply.kvs.map(\.keyString) == expected.map(\.key), "at \(revision)")
                #expect(reply.kvs.map(\.valueString) == expected.map(\.value), "at \(revision)")
            }
        }
    }

    /// A list of very many keys that follows lists of few, which were all kept.
    @Test(
        "where most was kept, and of the next list nothing is, its values come with its rows",
        arguments: Backend.selected
    )
    func cold(backend: Backend) async throws {
        try await backend.withStore { store in
            func put(_ prefix: String, _ numbers: Range<Int>, _ round: Int) async throws {
                for start in stride(from: numbers.lowerBound, to: numbers.upperBound, by: 100) {
                    let operations = (start..<start + 100).map {
                        RequestOperation.put("\(prefix)\(100_000 + $0)", "\($0) in \(round)")
                    }
                    _ = try await store.txn(if: [], then: operations)
                }
            }
            try await put("cold/", 0..<3_000, 0)
            for round in 0..<8 {
                try await put("hot/", 0..<1_000, round)
                let hot = try await store.list(prefix: "hot/")
                #expect(hot.kvs.map(\.valueString) == (0..<1_000).map { "\($0) in \(round)" })
            }
            let revision = try await store.revision()
            try await put("cold/", 500..<600, 1)
            #expect(store.driver.rowCache!.share >= 500)
            let then = (0..<3_000).map { "\($0) in 0" }
            let now = (0..<3_000).map { "\($0) in \((500..<600).contains($0) ? 1 : 0)" }
            let page = try await store.list(prefix: "cold/", limit: 700)
            #expect(page.kvs.map(\.valueString) == Array(now.prefix(700)) && page.count == 3_000)
            #expect(store.driver.rowCache!.share >= 500)
            #expect(try await store.list(prefix: "cold/").kvs.map(\.valueString) == now)
            #expect(try await store.list(prefix: "cold/", revision: revision).kvs.map(\.valueString) == then)
        }
    }
}

extension Result where Failure == any Error {
    /// What `body` returned or threw.
    fileprivate init(_ body: () async throws -> Success) async {
        do { self = .success(try await body()) } catch { self = .failure(error) }
    }
}
