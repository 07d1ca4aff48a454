import Drover
import Synchronization
import TestSupport
import Testing

@Suite("counts of ranges", .timeLimit(.minutes(5)))
struct CountTests {
    /// Which of the keys there are at each revision.
    private final class History: Sendable {
        private let states: Mutex<[Int64: [Bool]]>
        private let isDone = Atomic<Bool>(false)

        init(revision: Int64, keys: Int) {
            states = Mutex([revision: [Bool](repeating: false, count: keys)])
        }

        func record(_ state: [Bool], at revision: Int64) { states.withLock { $0[revision] = state } }

        func count(_ range: Range<Int>, at revision: Int64) -> Int64? {
            states.withLock { $0[revision].map { state in Int64(state[range].count { $0 }) } }
        }

        func end() { isDone.store(true, ordering: .sequentiallyConsistent) }

        var hasEnded: Bool { isDone.load(ordering: .sequentiallyConsistent) }
    }

    private static let keys = 300

    private static func key(_ number: Int) -> Bytes {
        let digits = String(number)
        return Bytes("c/\(String(repeating: "0", count: 4 - digits.count))\(digits)".utf8)
    }

    private static func range(_ numbers: Range<Int>) -> KeyRange {
        KeyRange(lower: key(numbers.lowerBound), upper: .before(key(numbers.upperBound)))
    }

    @Test("the key that so many others precede", arguments: Backend.selected)
    func keyAfter(backend: Backend) async throws {
        try await backend.withStore { store in
            for number in 0..<20 { try await store.put(PutRequest(key: Self.key(number), value: [])) }
            try await store.delete("c/0003")
            let found = try await store.onReader { _, reader in
                defer { reader.endSnapshot() }
                _ = try reader.beginSnapshot()
                return [
                    try reader.key(in: .all, after: 0), try reader.key(in: .all, after: 3),
                    try reader.key(in: .all, after: 18), try reader.key(in: .all, after: 19),
                    try reader.key(in: Self.range(2..<6), after: 2), try reader.key(in: Self.range(2..<6), after: 3),
                ]
            }
            #expect(found == [0, 4, 19, nil, 5, nil].map { $0.map(Self.key) })
        }
    }

    @Test(
        "are those of the keys at the reply's revision, beside writers, with blocks of any size",
        arguments: Backend.selected
    )
    func besideWriters(backend: Backend) async throws {
        let seed = SeededGenerator.seed()
        // Blocks that are split and joined, deltas that are forgotten, and no deltas to speak of.
        let shapes: [(keys: Int, blocks: Int, deltas: Int)] = [
            (4, 1_000, 1_000), (3, 12, 200), (8, 1_000, 12), (512, 16_384, 65_536),
        ]
        for (place, shape) in shapes.enumerated() {
            var limits = Limits()
            limits.countBlockKeys = shape.keys
            limits.countBlocks = shape.blocks
            limits.countDeltas = shape.deltas
            limits.countedRanges = 4
            try await backend.withStore(limits: limits) { store in
                try await Self.compare(store, seed: seed + UInt64(place), steps: backend == .sqlite ? 1_500 : 400)
            }
        }
    }

    private static func compare(_ store: Store, seed: UInt64, steps: Int) async throws {
        let history = History(revision: try await store.revision(), keys: keys)
        let compared = try await withThrowingTaskGroup(of: Int.self) { group in
            group.addTask {
                defer { history.end() }
                try await write(store, history, seed: seed, steps: steps)
                return 0
            }
            for lane in 1...3 {
                group.addTask { try await read(store, history, seed: seed &+ UInt64(lane) &* 1_000) }
            }
            return try await group.reduce(0, +)
        }
        #expect(compared > steps / 10)
    }

    private static func write(_ store: Store, _ history: History, seed: UInt64, steps: Int) async throws {
        var generator = SeededGenerator(seed: seed)
        var state = [Bool](repeating: false, count: keys)
        for step in 0..<steps {
            // Now growing, now shrinking, now many keys at once.
            let grows = step / 100 % 2 == 0
            let isMany = Int.random(in: 0..<20, using: &generator) == 0
            let start = Int.random(in: 0..<keys - 40, using: &generator)
            let chosen = start..<start + (isMany ? Int.random(in: 1...40, using: &generator) : 1)
            if isMany ? grows : Int.random(in: 0..<4, using: &generator) < (grows ? 3 : 1) {
                var txn = TxnRequest()
                txn.success = chosen.map { .put(PutRequest(key: key($0), value: [])) }
                let revision = try await store.txn(txn).revision
                for number in chosen { state[number] = true }
                history.record(state, at: revision)
            } else {
                let reply = try await store.delete(DeleteRangeRequest(range(chosen)))
                for number in chosen { state[number] = false }
                if reply.deleted > 0 { history.record(state, at: reply.revision) }
            }
        }
    }

    private static func read(_ store: Store, _ history: History, seed: UInt64) async throws -> Int {
        var generator = SeededGenerator(seed: seed)
        var compared = 0
        while !history.hasEnded {
            let start = Int.random(in: 0..<keys, using: &generator)
            let numbers = start..<Int.random(in: start...keys, using: &generator)
            var request = RangeRequest(range(numbers))
            request.countOnly = true
            let reply = try await store.range(request)
            var revision = reply.revision
            var count = reply.count
            if Bool.random(using: &generator) {
                revision = max(1, revision - Int64.random(in: 0...60, using: &generator))
                request.revision = revision
                count = try await store.range(request).count
            }
            // The writer records a revision when its call has returned.
            var expected = history.count(numbers, at: revision)
            while expected == nil, !Task.isCancelled {
                try await Task.sleep(nanoseconds: 100_000)
                expected = history.count(numbers, at: revision)
            }
            #expect(count == expected, "seed \(seed), revision \(revision), keys \(numbers)")
            compared += 1
        }
        return compared
    }

    @Test("of a range that was never counted walk its ends alone", arguments: Backend.selected)
    func surveyed(backend: Backend) async throws {
        try await backend.withStore { store in
            for start in stride(from: 0, to: 8_000, by: 100) {
                var txn = TxnRequest()
                txn.success = (start..<start + 100).map { .put(PutRequest(key: Self.key($0), value: [])) }
                try await store.txn(txn)
            }
            // The survey goes on beside what asks.
            var walked = -1
            for attempt in 0..<200 where store.metrics().countWalks != walked {
                walked = store.metrics().countWalks
                try await Task.sleep(nanoseconds: 50_000_000)
                var request = RangeRequest(Self.range(attempt..<7_900))
                request.countOnly = true
                #expect(try await store.range(request).count == Int64(7_900 - attempt))
            }
            for start in stride(from: 300, to: 1_300, by: 10) {
                var request = RangeRequest(Self.range(start..<8_000 - start))
                request.limit = 1
                #expect(try await store.range(request).count == Int64(8_000 - 2 * start))
            }
            #expect(store.metrics().countWalks == walked)
        }
    }
}
