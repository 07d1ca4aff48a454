import Drover
import Foundation
import Synchronization
import TestSupport
import Testing

@Suite("snapshots and compaction", .timeLimit(.minutes(10)))
struct SnapshotTests {
    @Test("a list and a watch from its header miss nothing, under writes and compaction", arguments: Backend.selected)
    func listThenWatch(backend: Backend) async throws {
        try await backend.withStore { store in
            let writers = Task {
                await withTaskGroup(of: Void.self) { group in
                    for writer in 0..<4 {
                        group.addTask {
                            for i in 0..<1_500 {
                                _ = try? await store.put("w/\(writer)/\(i % 50)", "\(i)")
                                if i % 7 == 0 { _ = try? await store.delete("w/\(writer)/\((i + 3) % 50)") }
                            }
                        }
                    }
                }
            }
            let compactor = Task {
                while !Task.isCancelled {
                    let revision = try await store.revision()
                    if revision > 200 { try? await store.compact(to: revision - 200) }
                    try await Task.sleep(nanoseconds: 3_000_000)
                }
            }
            for _ in 0..<20 {
                let list = try await store.list(prefix: "w/")
                #expect(list.kvs.allSatisfy { $0.modRevision <= list.revision })
                var state = Dictionary(uniqueKeysWithValues: list.kvs.map { ($0.keyString, $0) })
                let sequence: WatchSequence
                do {
                    sequence = try await store.watch(prefix: "w/", startRevision: list.revision + 1)
                } catch let error as DroverError where error.code == .compacted {
                    continue
                }
                var last = list.revision
                var seen = 0
                do {
                    for try await batch in sequence {
                        for event in batch.events {
                            #expect(event.kv.modRevision >= last)
                            last = event.kv.modRevision
                            state[event.kv.keyString] = event.kind == .put ? event.kv : nil
                        }
                        seen += batch.events.count
                        if seen > 200 || writers.isCancelled { break }
                        if try await store.revision() <= batch.revision { break }
                    }
                } catch let error as DroverError where error.code == .compacted {
                    continue
                }
                let expected: RangeResponse
                do {
                    expected = try await store.list(prefix: "w/", revision: last)
                } catch let error as DroverError where error.code == .compacted {
                    continue
                }
                #expect(Dictionary(uniqueKeysWithValues: expected.kvs.map { ($0.keyString, $0) }) == state)
            }
            await writers.value
            compactor.cancel()
            _ = try? await compactor.value
        }
    }

    @Test("chains stay whole under constant compaction", arguments: Backend.selected)
    func chains(backend: Backend) async throws {
        try await backend.withStore { store in
            for i in 0..<2_000 {
                try await store.put("hot", "\(i)")
                if i % 3 == 0 { try await store.put("warm", "\(i)") }
                if i % 50 == 49 {
                    let now = try await store.revision()
                    try await store.compact(to: now - 20, physical: i % 100 == 99)
                    for revision in (now - 20)...now {
                        let kv = try #require(try await store.get("hot", revision: revision))
                        #expect(kv.modRevision <= revision && kv.modRevision > revision - 3)
                    }
                }
            }
        }
    }

    @Test("a compaction beside a snapshot brings no deleted key back to life in it", arguments: Backend.selected)
    func compactionBesideSnapshot(backend: Backend) async throws {
        try await withTemporaryDirectory { directory in
            let store = try backend.open(directory)
            for i in 0..<20 { try await store.put("gone/\(i)", "v") }
            let filler = String(repeating: "f", count: 4_000)
            for i in 0..<1_000 { try await store.put("filler/\(i)", filler) }
            for i in 0..<20 { _ = try await store.delete("gone/\(i)") }
            try await store.put("last", "")
            let newest = try await store.revision()
            let file = Mutex<Bytes>([])
            var pieces = 0
            var isRefused = false
            do {
                try await store.snapshot { piece in
                    pieces += 1
                    file.withLock { $0 += piece }
                    // After the head, and the first piece, which has the keys and not their deletions.
                    if pieces != 2 { return }
                    try await store.compact(to: newest)
                    try await Task.sleep(nanoseconds: 1_000_000_000)
                }
            } catch {
                // An instance of several cannot keep others from sweeping.
                isRefused = true
                #expect(backend != .sqlite && (error as? DroverError)?.code.status == .unavailable, "\(error)")
            }
            #expect(pieces > (isRefused ? 1 : 2))
            if !isRefused {
                let bytes = file.withLock { $0 }
                var at = 0
                try FileManager.default.createDirectory(atPath: "\(directory)/copy", withIntermediateDirectories: true)
                let copy = try Engine.sqlite.makeDriver("\(directory)/copy")
                _ = try SnapshotRestore(into: copy) { count in
                    defer { at += count }
                    return Bytes(bytes[at..<at + count])
                }.run()
                copy.close()
                let restored = try Engine.sqlite.open("\(directory)/copy")
                #expect(try await restored.list(prefix: "gone/").count == 0)
                #expect(try await restored.list(prefix: "filler/").count == 1_000)
                #expect(try await restored.revision() == newest)
                await restored.close()
            }
            // The sweep goes on now.
            try await store.put("after", "")
            try await store.compact(to: try await store.revision(), physical: true)
            await store.close()
        }
    }

    /// Of what was compacted the first event of a revision may be gone, and others be left.
    @Test(
        "history of which the second event of each revision is left is read in pieces",
        arguments: Backend.selected
    )
    func leftovers(backend: Backend) async throws {
        try await backend.withStore { store in
            let value = String(repeating: "v", count: 4_000)
            try await withThrowingTaskGroup(of: Void.self) { group in
                for writer in 0..<50 {
                    group.addTask {
                        for i in 0..<20 {
                            _ = try await store.txn(
                                if: [],
                                then: [.put("hot", "\(i)"), .put("record/\(writer)/\(i)", value)]
                            )
                        }
                    }
                }
                try await group.waitForAll()
            }
            let revision = try await store.revision()
            try await store.compact(to: revision, physical: true)
            let total = 1_000 * value.utf8.count
            var sizes: [Int] = []
            let shown = try await store.snapshot { sizes.append($0.count) }
            #expect(shown == revision)
            #expect(sizes.reduce(0, +) > total && sizes.count > 3 && sizes.max()! < 2 << 20, "\(sizes)")
            let (again, once) = (try await store.hash(at: 0), try await store.hash(at: revision))
            #expect(again.value == once.value && again.compactedRevision == revision)
        }
    }

    @Test("a compaction of the newest revision ends while writers never rest", arguments: Backend.selected)
    func compactionBesideWriters(backend: Backend) async throws {
        try await backend.withStore { store in
            let watch = try await store.watch(prefix: "b/")
            let reader = Task { for try await _ in watch {} }
            let isOver = Flag()
            let writers = (0..<8).map { lane in
                Task {
                    while !isOver.isSet { try await store.put("b/\(lane)", "") }
                }
            }
            // One that never ended would end when the writers do.
            let end = Task {
                try await Task.sleep(nanoseconds: 30_000_000_000)
                isOver.set()
            }
            let start = ContinuousClock.now
            for _ in 0..<20 {
                try await Task.sleep(nanoseconds: 20_000_000)
                try await store.compact(to: store.revision(), physical: true)
            }
            #expect(start.duration(to: .now) < .seconds(20))
            end.cancel()
            isOver.set()
            for writer in writers { try await writer.value }
            reader.cancel()
        }
    }

    @Test("the sweep holds writers up for less than 50 ms at a time", arguments: Backend.selected)
    func shortSteps(backend: Backend) async throws {
        // A disk that stands still for a moment says nothing of the steps: it does not do so ten times.
        var steps: [Double] = []
        var puts: [Double] = []
        while steps.count < 10 && !zip(steps, puts).contains(where: { $0 < 0.05 && $1 < 0.2 }) {
            try await backend.withStore { store in
                await withTaskGroup(of: Void.self) { group in
                    for lane in 0..<200 {
                        group.addTask {
                            for i in 0..<250 { _ = try? await store.put("p/\(lane)/\(i % 5)", "\(i)") }
                        }
                    }
                }
                let compaction = Task { try await store.compact(to: store.revision(), physical: true) }
                var longest = Duration.zero
                for i in 0..<300 {
                    let start = ContinuousClock.now
                    try await store.put("during", "\(i)")
                    longest = max(longest, start.duration(to: .now))
                }
                try await compaction.value
                puts.append(longest / .seconds(1))
                steps.append(store.metrics().longestSweepSeconds)
                #expect(try await store.list(prefix: "p/").count == 1_000)
            }
        }
        #expect(zip(steps, puts).contains { $0 < 0.05 && $1 < 0.2 }, "\(steps), \(puts)")
    }

    @Test(
        "a deletion at a compaction mark goes with the next one, wherever the sweep stood",
        arguments: Backend.selected
    )
    func deletionAtMark(backend: Backend) async throws {
        try await withTemporaryDirectory { directory in
            let store = try backend.open(directory)
            try await store.put("m/x", "1")
            try await store.delete("m/x")
            try await store.put("m/y", "1")
            try await store.put("m/y", "2")
            let newest = try await store.revision()
            await store.close()

            let driver = try backend.makeDriver(directory)
            let writer = try driver.openWriter()
            func compact(_ revision: Int64) throws {
                var changes = ChangeSet(base: try writer.begin(BatchPrefetch()).meta)
                changes.compacted = revision
                try writer.commit(changes)
            }
            // The step ends exactly at the mark, which is the deletion, and before the sweep's end the mark moves on.
            try compact(newest - 2)
            #expect(try writer.sweep(rows: 2, position: .max) == .more)
            try compact(newest)
            while try writer.sweep(rows: 2, position: .max) != .finished {}
            var rows = 0
            try writer.log(from: 0, values: false) { _ in
                rows += 1
                return true
            }
            #expect(rows == 1)
            #expect(try writer.begin(BatchPrefetch(keys: [Bytes("m/x".utf8)])).states == [nil])
            writer.rollback()
            writer.close()
            driver.close()
        }
    }

    @Test("a sweep cut off in the middle goes on after a restart", arguments: Backend.selected)
    func interruptedSweep(backend: Backend) async throws {
        try await withTemporaryDirectory { directory in
            let store = try backend.open(directory)
            for i in 0..<500 { try await store.put("s/\(i % 25)", "\(i)") }
            for i in 0..<10 { try await store.delete("s/\(i)") }
            let newest = try await store.revision()
            let expected = try await store.list(prefix: "s/")
            await store.close()

            // The mark is set and a few steps are made, as if the process had been killed then.
            let driver = try backend.makeDriver(directory)
            let writer = try driver.openWriter()
            let meta = try writer.begin(BatchPrefetch()).meta
            var changes = ChangeSet(base: meta)
            changes.compacted = newest
            try writer.commit(changes)
            for _ in 0..<3 { _ = try writer.sweep(rows: 20, position: .max) }
            writer.close()
            driver.close()

            let again = try backend.open(directory)
            #expect(try await again.list(prefix: "s/").kvs == expected.kvs)
            try await again.put("s/0", "back")
            let now = try await again.revision()
            try await again.compact(to: now, physical: true)
            #expect(try await again.get("s/0")?.version == 1)
            await again.close()

            let last = try backend.makeDriver(directory)
            let left = try last.openWriter()
            var rows = 0
            try left.log(from: 0, values: false) { _ in
                rows += 1
                return true
            }
            // One row for each live key; the deletions are gone.
            #expect(rows == 16)
            left.close()
            last.close()
        }
    }

    @Test(
        "1,100,000 keys are deleted by one call and by one lease",
        .timeLimit(.minutes(15)),
        arguments: Backend.selected
    )
    func wideRevisions(backend: Backend) async throws {
        // On SQLite such a revision has a form of its own; on a server it takes minutes, and is for `make test-all`.
        let count: Int64 = backend == .sqlite || environment("DROVER_TEST_WIDE") != nil ? 1_100_000 : 110_000
        try await withTemporaryDirectory { directory in
            for lease in [0, 77] as [Int64] {
                try fill(backend, directory, count: count, lease: lease)
                let store = try backend.open(directory)
                let before = try await store.revision()
                if lease == 0 {
                    #expect(try await store.delete(prefix: "wide/") == count)
                } else {
                    try await store.revokeLease(lease)
                }
                let after = try await store.revision()
                #expect(after == before + 1)
                #expect(try await store.list(prefix: "wide/", limit: 1).count == 0)
                var request = RangeRequest(KeyRange(prefix: Bytes("wide/".utf8)))
                request.revision = before
                request.countOnly = true
                #expect(try await store.range(request).count == count)
                try await store.put("after", "1")
                #expect(try await store.get("after")?.modRevision == after + 1)
                #expect(try await store.get("after", revision: after + 1)?.valueString == "1")
                try await store.put("after", "2")
                #expect(try await store.get("after", revision: after + 1)?.valueString == "1")
                try await store.compact(to: after + 2, physical: true)
                #expect(try await store.get("after")?.valueString == "2")
                await store.close()
            }
        }
    }

    @Test(
        "a deletion at exactly the compacted revision is there for watches until the next compaction",
        arguments: Backend.selected
    )
    func deletionAtTheMark(backend: Backend) async throws {
        try await backend.withStore { store in
            try await store.put("d/a", "1")
            try await store.put("d/b", "1")
            try await store.delete("d/a")
            let mark = try await store.revision()
            try await store.compact(to: mark, physical: true)
            var seen: [Event] = []
            for try await batch in try await store.watch(prefix: "d/", startRevision: mark) {
                seen += batch.events
                break
            }
            #expect(seen.map(\.kind) == [.delete] && seen[0].kv.modRevision == mark)
            await #expect {
                for try await _ in try await store.watch(prefix: "d/", startRevision: mark - 1) {}
            } throws: {
                ($0 as? DroverError)?.code == .compacted
            }
            let next = try await store.put("d/b", "2").revision
            try await store.compact(to: next, physical: true)
            #expect(try await store.list(prefix: "d/").kvs.map(\.valueString) == ["2"])
            #expect(try await store.get("d/a") == nil)
            // The key begins anew.
            let again = try await store.put("d/a", "3").revision
            #expect(try await store.get("d/a")?.createRevision == again)
        }
    }

    @Test("a step of the sweep is short though the values are large", .enabled(if: Backend.selected.contains(.sqlite)))
    func largeValues() async throws {
        var steps: [Double] = []
        while steps.count < 10 && !steps.contains(where: { $0 < 0.05 }) {
            try await Backend.sqlite.withStore { store in
                for i in 0..<150 {
                    try await store.put(
                        PutRequest(key: Bytes("big/\(i % 3)".utf8), value: Bytes(repeating: 1, count: 1 << 20))
                    )
                }
                try await store.compact(to: try await store.revision(), physical: true)
                steps.append(store.metrics().longestSweepSeconds)
                #expect(try await store.list(prefix: "big/").kvs.count == 3)
            }
        }
        #expect(steps.min()! < 0.05, "\(steps)")
    }
}
