import Drover
import Synchronization
import TestSupport
import Testing

@Suite("watches", .timeLimit(.minutes(10)))
struct WatchTests {
    /// Reads batches until so many events have come.
    private func take(_ count: Int, from sequence: WatchSequence) async throws -> [Event] {
        var events: [Event] = []
        for try await batch in sequence {
            events += batch.events
            if events.count >= count { break }
        }
        return events
    }

    @Test("events from now, from the past, and with previous values", arguments: Backend.selected)
    func events(backend: Backend) async throws {
        try await backend.withStore { store in
            try await store.put("a/1", "old")
            let live = try await store.watch(prefix: "a/", wantsPrevious: true)
            try await store.put("a/1", "new")
            try await store.put("b/1", "other")
            try await store.delete("a/1")
            let seen = try await take(2, from: live)
            #expect(seen.map(\.kind) == [.put, .delete])
            #expect(seen[0].previous?.valueString == "old" && seen[0].kv.version == 2)
            #expect(seen[1].previous?.valueString == "new" && seen[1].kv.modRevision == 5)
            #expect(seen[1].kv.value.isEmpty && seen[1].kv.createRevision == 0)
            let past = try await store.watch(prefix: "a/", startRevision: 2)
            let all = try await take(3, from: past)
            #expect(all.map(\.kv.modRevision) == [2, 3, 5])
            #expect(all.allSatisfy { $0.previous == nil })
        }
    }

    @Test("a compaction right behind an event leaves a watch in step its previous values", arguments: Backend.selected)
    func previousBeforeCompaction(backend: Backend) async throws {
        try await backend.withStore { store in
            try await store.put("k", "0")
            let live = try await store.watch(prefix: "k", wantsPrevious: true)
            let rounds = 100
            for round in 1...rounds {
                async let put = store.put("k", "\(round)")
                // In the same group commit, or the next.
                try? await store.compact(to: Int64(round + 2))
                _ = try await put
            }
            let seen = try await take(rounds, from: live)
            #expect(seen.map { $0.previous?.valueString } == (0..<rounds).map(String.init))
        }
    }

    @Test("a future start waits, filters filter, a compacted start fails", arguments: Backend.selected)
    func starts(backend: Backend) async throws {
        try await backend.withStore { store in
            let future = try await store.watch(WatchRequest(.all, startRevision: 5))
            let deletions = try await store.watch(WatchRequest(.all, skipsPuts: true))
            for i in 2...6 { try await store.put("k", "\(i)") }
            try await store.delete("k")
            #expect(try await take(3, from: future).map(\.kv.modRevision) == [5, 6, 7])
            #expect(try await take(1, from: deletions).map(\.kv.modRevision) == [7])
            try await store.compact(to: 5, physical: true)
            let gone = try await store.watch(WatchRequest(.all, startRevision: 3))
            await #expect {
                for try await _ in gone {}
            } throws: { ($0 as? DroverError)?.code == .compacted }
            let edge = try await store.watch(WatchRequest(.all, startRevision: 5))
            #expect(try await take(3, from: edge).map(\.kv.modRevision) == [5, 6, 7])
            await #expect(throws: DroverError.self) {
                _ = try await store.watch(WatchRequest(.all, startRevision: -1))
            }
            await #expect(throws: DroverError.self) {
                _ = try await store.watch(WatchRequest(KeyRange(key: Bytes("b".utf8), rangeEnd: Bytes("a".utf8))))
            }
        }
    }

    @Test("all changes of one revision come together", arguments: Backend.selected)
    func wholeRevisions(backend: Backend) async throws {
        var limits = Limits()
        limits.catchUpRows = 3
        limits.feedEvents = 4
        try await backend.withStore(limits: limits) { store in
            for i in 0..<20 {
                try await store.txn(if: [], then: (0..<7).map { .put("t/\($0)", "\(i)") })
            }
            let sequence = try await store.watch(prefix: "t/", startRevision: 2)
            var expected: Int64 = 2
            for try await batch in sequence {
                #expect(batch.events.count % 7 == 0)
                for (i, event) in batch.events.enumerated() {
                    #expect(event.kv.modRevision == expected && event.kv.keyString == "t/\(i % 7)")
                    if i % 7 == 6 { expected += 1 }
                }
                if expected == 22 { break }
            }
        }
    }

    @Test("progress is told once nothing is outstanding", arguments: Backend.selected)
    func progress(backend: Backend) async throws {
        try await backend.withStore(progressInterval: 0.1) { store in
            let sequence = try await store.watch(WatchRequest(KeyRange(prefix: Bytes("p/".utf8)), wantsProgress: true))
            try await store.put("q", "elsewhere")
            for try await batch in sequence {
                #expect(batch.events.isEmpty)
                if batch.revision == 2 { break }
            }
        }
    }

    @Test("a consumer that stops reading while 100,000 events pass loses none", arguments: Backend.selected)
    func slowConsumer(backend: Backend) async throws {
        var limits = Limits()
        limits.watchBacklogBytes = 64 << 10
        limits.feedBytes = 1 << 20
        limits.feedEvents = 1_000
        try await backend.withStore(limits: limits) { store in
            let slow = try await store.watch(prefix: "s/")
            let count = 100_000
            await withTaskGroup(of: Void.self) { group in
                for lane in 0..<100 {
                    group.addTask {
                        for i in 0..<(count / 100) { _ = try? await store.put("s/\(lane)", "\(i)") }
                    }
                }
            }
            #expect(store.metrics().feed.slow == 1)
            var next: Int64 = 2
            for try await batch in slow {
                for event in batch.events {
                    #expect(event.kv.modRevision == next)
                    next += 1
                }
                if next == Int64(count) + 2 { break }
            }
        }
    }

    @Test("5,000 watches that resume 50,000 revisions back share a few passes", arguments: Backend.selected)
    func sharedPasses(backend: Backend) async throws {
        var limits = Limits()
        limits.feedEvents = 1_000
        try await backend.withStore(limits: limits) { store in
            await withTaskGroup(of: Void.self) { group in
                for lane in 0..<100 {
                    group.addTask {
                        for i in 0..<500 { _ = try? await store.put("r/\(lane)/\(i % 50)", "\(i)") }
                    }
                }
            }
            let newest = try await store.revision()
            #expect(newest == 50_001)
            let before = store.metrics().feed
            // 5,000 keys of ten events each, a watch for each key.
            try await withThrowingTaskGroup(of: Void.self) { group in
                for lane in 0..<100 {
                    for i in 0..<50 {
                        group.addTask {
                            let sequence = try await store.watch(key: "r/\(lane)/\(i)", startRevision: 2)
                            let events = try await take(10, from: sequence)
                            #expect(events.map(\.kv.version) == Array(1...10))
                        }
                    }
                }
                try await group.waitForAll()
            }
            let after = store.metrics().feed
            let chunksOfOnePass = 50_000 / limits.catchUpRows + 2
            #expect(after.passes - before.passes <= 500)
            #expect(after.chunks - before.chunks < 5_000, "\(chunksOfOnePass) chunks make one pass")
        }
    }

    @Test("5,000 watches on one prefix get each event", arguments: Backend.selected)
    func fanOut(backend: Backend) async throws {
        try await backend.withStore { store in
            var sequences: [WatchSequence] = []
            for _ in 0..<5_000 { sequences.append(try await store.watch(prefix: "f/")) }
            for i in 0..<10 { try await store.put("f/\(i)", "\(i)") }
            try await withThrowingTaskGroup(of: Void.self) { group in
                for sequence in sequences {
                    group.addTask {
                        let events = try await take(10, from: sequence)
                        #expect(events.map(\.kv.modRevision) == Array(2...11))
                    }
                }
                try await group.waitForAll()
            }
        }
    }

    @Test("closing the store ends its watches, and refuses new ones", arguments: Backend.selected)
    func closing(backend: Backend) async throws {
        try await withTemporaryDirectory { directory in
            let store = try backend.open(directory)
            let sequence = try await store.watch(prefix: "c/")
            try await store.put("c/1", "1")
            let (told, teller) = AsyncStream.makeStream(of: Int.self)
            let reading = Task {
                defer { teller.finish() }
                var events = 0
                for try await batch in sequence {
                    events += batch.events.count
                    teller.yield(events)
                }
                return events
            }
            for await events in told where events == 1 { break }
            await store.close()
            #expect(try await reading.value == 1)
            await #expect { _ = try await store.watch(prefix: "c/") } throws: {
                ($0 as? DroverError)?.code == .stopped
            }
        }
    }

    @Test("a cancelled task ends its watch", arguments: Backend.selected)
    func cancellation(backend: Backend) async throws {
        try await backend.withStore { store in
            let sequence = try await store.watch(prefix: "c/")
            let (told, teller) = AsyncStream.makeStream(of: Int.self)
            let task = Task {
                defer { teller.finish() }
                var batches = 0
                for try await _ in sequence {
                    batches += 1
                    teller.yield(batches)
                }
                return batches
            }
            try await store.put("c/1", "1")
            for await batches in told where batches == 1 { break }
            task.cancel()
            #expect(try await task.value == 1)
            for _ in 0..<200 where store.metrics().feed.watchers > 0 {
                try await Task.sleep(nanoseconds: 50_000_000)
            }
            #expect(store.metrics().feed.watchers == 0)
        }
    }
}
