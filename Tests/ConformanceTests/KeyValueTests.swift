import Drover
import Testing

@Suite("keys and values", .timeLimit(.minutes(5)))
struct KeyValueTests {
    @Test("a put counts revisions and versions", arguments: Backend.selected)
    func putting(backend: Backend) async throws {
        try await backend.withStore { store in
            #expect(try await store.revision() == 1)
            #expect(try await store.put("a", "1").revision == 2)
            #expect(try await store.put("a", "2").revision == 3)
            let kv = try #require(try await store.get("a"))
            #expect(kv.valueString == "2")
            #expect((kv.createRevision, kv.modRevision, kv.version) == (2, 3, 2))
            #expect(try await store.delete("a"))
            #expect(try await store.get("a") == nil)
            #expect(try await store.delete("a") == false)
            #expect(try await store.revision() == 4)
            #expect(try await store.put("a", "3").revision == 5)
            let again = try #require(try await store.get("a"))
            #expect((again.createRevision, again.version) == (5, 1))
        }
    }

    @Test("previous values and kept fields", arguments: Backend.selected)
    func previous(backend: Backend) async throws {
        try await backend.withStore { store in
            let lease = try await store.grantLease(ttl: 100)
            try await store.put("k", "v1", lease: lease.id)
            let key = Bytes("k".utf8)
            let kept = try await store.put(
                PutRequest(key: key, value: [], wantsPrevious: true, ignoresValue: true, ignoresLease: true)
            )
            #expect(kept.previous?.valueString == "v1")
            let kv = try #require(try await store.get("k"))
            #expect(kv.valueString == "v1" && kv.lease == lease.id && kv.version == 2)
            await #expect(throws: DroverError.self) {
                try await store.put(PutRequest(key: Bytes("x".utf8), value: [], ignoresValue: true))
            }
            await #expect(throws: DroverError.self) { try await store.put("k", "v", lease: 12_345) }
            await #expect(throws: DroverError.self) { try await store.put("", "v") }
            // The next one detaches it.
            try await store.put("k", "v3")
            #expect(try await store.keys(attachedTo: lease.id).isEmpty)
        }
    }

    @Test("history at every revision that is not compacted", arguments: Backend.selected)
    func history(backend: Backend) async throws {
        try await backend.withStore { store in
            var model: [Int64: [String: String]] = [:]
            var state: [String: String] = [:]
            var generator = SystemRandomNumberGenerator()
            for step in 0..<400 {
                let key = "k\(Int.random(in: 0..<20, using: &generator))"
                if Int.random(in: 0..<4, using: &generator) == 0 {
                    try await store.delete(key)
                    state[key] = nil
                } else {
                    try await store.put(key, "v\(step)")
                    state[key] = "v\(step)"
                }
                model[try await store.revision()] = state
            }
            let newest = try await store.revision()
            let mark = newest / 2
            try await store.compact(to: mark, physical: true)
            for revision in mark...newest {
                let expected = model[revision]!
                let list = try await store.list(prefix: "k", revision: revision)
                #expect(list.revision == newest)
                #expect(
                    Dictionary(uniqueKeysWithValues: list.kvs.map { ($0.keyString, $0.valueString) }) == expected
                )
                #expect(list.count == Int64(expected.count))
                let page = try await store.list(prefix: "k", limit: 3, revision: revision)
                #expect(page.kvs == Array(list.kvs.prefix(3)) && page.count == list.count)
                #expect(page.more == (list.count > 3))
            }
            await #expect(throws: DroverError.self) { try await store.list(prefix: "k", revision: mark - 1) }
            await #expect(throws: DroverError.self) { try await store.list(prefix: "k", revision: newest + 1) }
            await #expect(throws: DroverError.self) { try await store.compact(to: mark) }
            await #expect(throws: DroverError.self) { try await store.compact(to: newest + 1) }
        }
    }

    @Test("ranges, limits, sorting and filters", arguments: Backend.selected)
    func ranges(backend: Backend) async throws {
        try await backend.withStore { store in
            for i in [3, 1, 4, 1, 5, 9, 2, 6] { try await store.put("n/\(i)", "\(10 - i)") }
            var request = RangeRequest(KeyRange(prefix: Bytes("n/".utf8)))
            func keys() async throws -> [String] { try await store.range(request).kvs.map(\.keyString) }
            #expect(try await keys() == ["n/1", "n/2", "n/3", "n/4", "n/5", "n/6", "n/9"])
            request.sortOrder = .descend
            request.limit = 2
            #expect(try await keys() == ["n/9", "n/6"])
            request.sortTarget = .value
            #expect(try await keys() == ["n/1", "n/2"])
            request.sortTarget = .mod
            #expect(try await keys() == ["n/6", "n/2"])
            request.sortOrder = .ascend
            request.sortTarget = .version
            request.limit = 0
            #expect(try await keys().last == "n/1")
            request = RangeRequest(KeyRange(prefix: Bytes("n/".utf8)))
            request.minModRevision = 7
            request.limit = 1
            let filtered = try await store.range(request)
            #expect(filtered.kvs.map(\.keyString) == ["n/2"] && filtered.more && filtered.count == 7)
            request = RangeRequest(KeyRange(prefix: Bytes("n/".utf8)))
            request.countOnly = true
            let counted = try await store.range(request)
            #expect(counted.kvs.isEmpty && counted.count == 7 && !counted.more)
            request.countOnly = false
            request.keysOnly = true
            #expect(try await store.range(request).kvs.allSatisfy { $0.value.isEmpty })
            let fromKey = RangeRequest(KeyRange(key: Bytes("n/5".utf8), rangeEnd: [0]))
            #expect(try await store.range(fromKey).kvs.map(\.keyString) == ["n/5", "n/6", "n/9"])
            let empty = RangeRequest(KeyRange(key: Bytes("n/5".utf8), rangeEnd: Bytes("n/5".utf8)))
            #expect(try await store.range(empty).count == 0)
        }
    }

    @Test("counts stay exact while keys come and go", arguments: Backend.selected)
    func counting(backend: Backend) async throws {
        var limits = Limits()
        limits.countDeltas = 64
        try await backend.withStore(limits: limits) { store in
            var keys: Set<Int> = []
            for round in 0..<600 {
                let key = Int.random(in: 0..<50)
                if Bool.random() {
                    try await store.put("c/\(key)", "\(round)")
                    keys.insert(key)
                } else {
                    try await store.delete("c/\(key)")
                    keys.remove(key)
                }
                let page = try await store.list(prefix: "c/", limit: 5)
                #expect(page.count == Int64(keys.count))
                if let last = page.kvs.last, page.more {
                    var rest = RangeRequest(KeyRange(key: last.key + [0], rangeEnd: Bytes("c0".utf8)))
                    rest.limit = 5
                    rest.revision = page.revision
                    #expect(try await store.range(rest).count == Int64(keys.count - 5))
                }
            }
        }
    }

    @Test("pages are counted without walking the range, also while keys come and go", arguments: Backend.selected)
    func countingPages(backend: Backend) async throws {
        try await backend.withStore { store in
            let total = 5_000
            for start in stride(from: 0, to: total, by: 100) {
                var txn = TxnRequest()
                for i in start..<(start + 100) {
                    txn.success.append(
                        .put(PutRequest(key: Bytes("page/\(String(format: "%05d", i))".utf8), value: Bytes("v".utf8)))
                    )
                }
                try await store.txn(txn)
            }
            let whole = KeyRange(prefix: Bytes("page/".utf8))
            /// Pages through the range, as Kubernetes does at the first page's revision if it is told to.
            func pages(pinned: Bool, writes: Bool) async throws {
                var live = try await store.list(prefix: "page/").count
                var request = RangeRequest(whole)
                request.limit = 100
                var number: Int64 = 0
                while true {
                    let page = try await store.range(request)
                    #expect(page.count == live)
                    live -= Int64(page.kvs.count)
                    number += 1
                    if writes {
                        try await store.put("page/99999/\(1_000 + number)a", "v")
                        let gone = "page/0\(4_999 - number)"
                        let isDeleted = try await store.delete(gone)
                        try await store.put("page/99999/\(1_000 + number)b", "v")
                        // What is behind this page changes what is left, unless the client reads on at the old revision.
                        let isLeft = page.kvs.last.map { $0.key.lexicographicallyPrecedes(Bytes(gone.utf8)) } ?? false
                        if !pinned { live += 2 - (isDeleted && isLeft ? 1 : 0) }
                    }
                    guard page.more, let last = page.kvs.last else { break }
                    request.range = KeyRange(lower: last.key.successor, upper: whole.upper)
                    if pinned && request.revision == 0 { request.revision = page.revision }
                }
                #expect(number >= 50)
            }
            _ = try await store.list(prefix: "page/", limit: 1)
            let walked = store.metrics().countWalks
            try await pages(pinned: false, writes: false)
            try await pages(pinned: true, writes: false)
            try await pages(pinned: false, writes: true)
            try await pages(pinned: true, writes: true)
            #expect(store.metrics().countWalks == walked)
            // The first page again and again, between changes.
            for i in 0..<50 {
                let before = try await store.list(prefix: "page/", limit: 100).count
                try await store.put("page/1/\(i)", "v")
                #expect(try await store.list(prefix: "page/", limit: 100).count == before + 1)
            }
            #expect(store.metrics().countWalks == walked)
        }
    }

    @Test("arbitrary bytes in keys and values", arguments: Backend.selected)
    func bytes(backend: Backend) async throws {
        try await backend.withStore { store in
            let keys: [Bytes] = [
                [0], [0, 0], [0, 1], [0xff], [0xff, 0], [0x7f, 0x80], Bytes(repeating: 0xee, count: 2_048),
            ]
            for (i, key) in keys.enumerated() { try await store.put(PutRequest(key: key, value: [UInt8(i), 0, 0xff])) }
            try await store.put(PutRequest(key: [1], value: []))
            let all = try await store.range(RangeRequest(.all))
            #expect(all.kvs.map(\.key) == (keys + [[1]]).sorted(by: Bytes.precedes))
            for (i, key) in keys.enumerated() { #expect(try await store.get(key)?.value == [UInt8(i), 0, 0xff]) }
            #expect(try await store.get([1])?.value == [])
            let large = Bytes(repeating: 7, count: 1_400_000)
            try await store.put(PutRequest(key: [2], value: large))
            #expect(try await store.get([2])?.value == large)
        }
    }

    @Test("long values among short ones, in lists, history, watches and many gets at once", arguments: Backend.selected)
    func longValues(backend: Backend) async throws {
        var limits = Limits()
        limits.pointBytes = 2 << 20
        try await backend.withStore(limits: limits) { store in
            // Lists that begin with short values know nothing of the long ones behind them.
            let lengths = (0..<300).map { $0 % 50 == 49 ? 1_300_000 : $0 % 7 == 6 ? 40_000 : 10 }
            func value(_ number: Int, _ round: UInt8) -> Bytes {
                [round] + Bytes(repeating: UInt8(number % 251), count: lengths[number])
            }
            for number in 0..<300 {
                try await store.put(PutRequest(key: Bytes("l/\(1_000 + number)".utf8), value: value(number, 1)))
            }
            let before = try await store.revision()
            for number in 0..<300 {
                try await store.put(PutRequest(key: Bytes("l/\(1_000 + number)".utf8), value: value(number, 2)))
            }
            for (revision, round) in [(Int64(0), UInt8(2)), (before, 1)] {
                let list = try await store.list(prefix: "l/", revision: revision)
                #expect(list.kvs.map(\.value) == (0..<300).map { value($0, round) })
                let page = try await store.list(prefix: "l/", limit: 60, revision: revision)
                #expect(page.kvs.map(\.value) == (0..<60).map { value($0, round) })
            }
            let gets = try await withThrowingTaskGroup(of: (Int, KeyValue?).self) { group in
                // Twice, since calls for one key go together.
                for number in Array(0..<302) + Array(0..<302) {
                    group.addTask { (number, try await store.get(Bytes("l/\(1_000 + number)".utf8))) }
                }
                return try await group.reduce(into: [Int: KeyValue]()) { $0[$1.0] = $1.1 }
            }
            #expect((0..<300).allSatisfy { gets[$0]?.value == value($0, 2) } && gets.count == 300)
            let watch = try await store.watch(
                WatchRequest(KeyRange(prefix: Bytes("l/".utf8)), startRevision: before + 1, wantsPrevious: true)
            )
            var seen: [Event] = []
            for try await batch in watch {
                seen += batch.events
                if seen.count >= 300 { break }
            }
            #expect(seen.map(\.kv.value) == (0..<300).map { value($0, 2) })
            #expect(seen.map { $0.previous?.value } == (0..<300).map { value($0, 1) })
        }
    }
}
