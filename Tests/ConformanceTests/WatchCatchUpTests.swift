import Drover
import Synchronization
import TestSupport
import Testing

/// Watches that are behind, each as far as it is.
@Suite("watches that catch up", .timeLimit(.minutes(5)))
struct WatchCatchUpTests {
    @Test("one that is a revision behind does not wait for one that is far behind", arguments: Backend.selected)
    func nearAndFar(backend: Backend) async throws {
        var limits = Limits()
        limits.catchUpRows = 2
        limits.feedEvents = 8
        try await backend.withStore(limits: limits) { store in
            let total = backend == .sqlite ? 8_000 : 2_000
            try await withThrowingTaskGroup(of: Void.self) { group in
                for writer in 0..<40 {
                    group.addTask {
                        for i in 0..<total / 40 { _ = try await store.put("far/\(writer)/\(i)", "v") }
                    }
                }
                try await group.waitForAll()
            }
            let last = try await store.put("near", "v").revision
            let seen = Mutex(0)
            let far = try await store.watch(prefix: "far/", startRevision: 2)
            let reading = Task {
                for try await batch in far {
                    let count = seen.withLock { seen in
                        seen += batch.events.count
                        return seen
                    }
                    if count == total { return }
                }
            }
            while seen.withLock({ $0 }) == 0 { try await Task.sleep(nanoseconds: 100_000) }
            for try await batch in try await store.watch(prefix: "near", startRevision: last) {
                #expect(batch.events.map(\.kv.modRevision) == [last])
                break
            }
            let before = seen.withLock { $0 }
            #expect(before < total, "the near one was told after all \(total) of the far one")
            // One further back than the pass that is going on has its turn as well.
            var count = 0
            for try await batch in try await store.watch(prefix: "far/", startRevision: 2) {
                count += batch.events.count
                if count == total { break }
            }
            try await reading.value
            #expect(seen.withLock { $0 } == total && count == total)
        }
    }

    @Test("a creation has no value before it, whatever its revision deleted", arguments: Backend.selected)
    func creation(backend: Backend) async throws {
        try await backend.withStore { store in
            try await store.put("a", "old")
            for start in [0, 3] as [Int64] {
                let watch = try await store.watch(WatchRequest(.all, startRevision: start, wantsPrevious: true))
                if start == 0 {
                    _ = try await store.txn(
                        if: [],
                        then: [
                            .deleteRange(DeleteRangeRequest(KeyRange(lower: Bytes("a".utf8), upper: .unbounded))),
                            .put("a", "new"),
                        ]
                    )
                }
                for try await batch in watch {
                    #expect(batch.events.map(\.kind) == [.delete, .put])
                    #expect(batch.events.map { $0.previous?.valueString } == ["old", nil])
                    break
                }
            }
        }
    }

    @Test("long values before short events come a few revisions at a time", arguments: Backend.selected)
    func longPrevious(backend: Backend) async throws {
        var limits = Limits()
        limits.catchUpBytes = 256 << 10
        try await backend.withStore(limits: limits) { store in
            let (keys, size) = (200, 32 << 10)
            for i in 0..<keys {
                try await store.put(PutRequest(key: Bytes("k/\(i)".utf8), value: Bytes(repeating: 1, count: size)))
            }
            // Watches in step, one that wants no values and one that does, and one that comes later.
            let plain = try await store.watch(prefix: "k/")
            let live = try await store.watch(WatchRequest(KeyRange(prefix: Bytes("k/".utf8)), wantsPrevious: true))
            let first = try await store.revision() + 1
            try await withThrowingTaskGroup(of: Void.self) { group in
                for i in 0..<keys {
                    group.addTask { _ = try await store.delete("k/\(i)") }
                }
                try await group.waitForAll()
            }
            let late = try await store.watch(
                WatchRequest(KeyRange(prefix: Bytes("k/".utf8)), startRevision: first, wantsPrevious: true)
            )
            let revisions = (0..<Int64(keys)).map { first + $0 }
            for (watch, wantsPrevious) in [(plain, false), (live, true), (late, true)] {
                var seen: [Int64] = []
                for try await batch in watch {
                    seen += batch.events.map(\.kv.modRevision)
                    let lengths = batch.events.map { $0.previous?.value.count }
                    #expect(lengths.allSatisfy { $0 == (wantsPrevious ? size : nil) })
                    // What is read between two looks, at the most.
                    #expect(lengths.reduce(0) { $0 + ($1 ?? 0) } <= 64 * size + limits.catchUpBytes)
                    if seen.count >= keys { break }
                }
                #expect(seen == revisions)
            }
        }
    }
}
