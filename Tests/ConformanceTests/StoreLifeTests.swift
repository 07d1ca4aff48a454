import Drover
import Foundation
import TestSupport
import Testing

/// What an application that links the library may do wrong, or leave undone.
@Suite("a store's life in an application", .timeLimit(.minutes(2)))
struct StoreLifeTests {
    private func code(_ body: () async throws -> Void) async -> DroverError.Code? {
        do {
            try await body()
            return nil
        } catch {
            return (error as? DroverError)?.code
        }
    }

    @Test("a lease that cannot be revoked at its end lets nobody wait", arguments: Backend.selected)
    func unrevoked(backend: Backend) async throws {
        try await backend.withStore { store in
            let lease = try await store.grantLease(ttl: 2)
            try await store.put("k", "v", lease: lease.id)
            // Nothing is written under this alarm, the end of a lease neither.
            let alarm = Alarm(kind: .corrupt, member: store.memberID)
            try await store.activate(alarm)
            try await Task.sleep(nanoseconds: 3_000_000_000)
            let begun = ContinuousClock.now
            let answer = try await store.keepAlive(lease.id)
            #expect(begun.duration(to: .now) < .seconds(10))
            // A server's deadline is in the row, and the row can be renewed until it is gone.
            #expect(backend != .sqlite || answer == nil)
            try await store.disarm(alarm)
        }
    }

    @Test("progress asked for while a watch is behind is told when it has caught up", arguments: Backend.selected)
    func lateProgress(backend: Backend) async throws {
        try await backend.withStore { store in
            let first = try await store.put("p/0", "").revision
            for i in 1..<400 { try await store.put("p/\(i)", "") }
            let watch = try await store.watch(prefix: "p/", startRevision: first)
            watch.requestProgress()
            var events = 0
            for try await batch in watch {
                if batch.events.isEmpty { break }
                events += batch.events.count
            }
            #expect(events == 400)
            // One that begins later is told when the store has come there.
            let next = try await store.revision() + 3
            let later = try await store.watch(prefix: "p/", startRevision: next)
            later.requestProgress()
            for i in 0..<3 { try await store.put("p/\(i)", "again") }
            var revisions: [Int64] = []
            for try await batch in later {
                if batch.events.isEmpty { break }
                revisions += batch.events.map(\.kv.modRevision)
            }
            #expect(revisions == [next])
        }
    }

    @Test("leaving the loop ends the watch, though the sequence is kept", arguments: Backend.selected)
    func leaving(backend: Backend) async throws {
        try await backend.withStore { store in
            let watch = try await store.watch(prefix: "w/")
            try await store.put("w/1", "")
            for try await batch in watch where !batch.events.isEmpty { break }
            let deadline = ContinuousClock.now + .seconds(10)
            while store.metrics().feed.watchers > 0, ContinuousClock.now < deadline {
                try await Task.sleep(nanoseconds: 10_000_000)
            }
            #expect(store.metrics().feed.watchers == 0)
            try await store.put("w/2", "")
            var more = 0
            for try await _ in watch { more += 1 }
            #expect(more == 0)
        }
    }

    @Test("a store that is let go of closes, and can be opened anew", arguments: Backend.selected)
    func letGo(backend: Backend) async throws {
        try await withTemporaryDirectory { directory in
            func use() async throws -> WatchSequence {
                let store = try backend.open(directory)
                try await store.put("k", "v")
                return try await store.watch(key: "k")
            }
            do {
                // The watch keeps it.
                let watch = try await use()
                #expect(backend != .sqlite || (try? backend.open(directory)) == nil)
                withExtendedLifetime(watch) {}
            }
            let deadline = ContinuousClock.now + .seconds(20)
            var again: Store?
            while again == nil, ContinuousClock.now < deadline {
                again = try? backend.open(directory)
                if again == nil { try await Task.sleep(nanoseconds: 50_000_000) }
            }
            let store = try #require(again)
            #expect(try await store.get("k")?.valueString == "v")
            await store.close()
        }
    }

    @Test("limits that leave nothing to work with are made usable", arguments: Backend.selected)
    func limits(backend: Backend) async throws {
        var limits = Limits()
        limits.readerThreads = 0
        limits.pointThreads = -1
        limits.batchCalls = 0
        limits.databaseWaitSeconds = .infinity
        limits.watchers = 1
        limits.writeBytes = 10_000
        try await backend.withStore(limits: limits) { store in
            try await store.put("k", "v")
            #expect(try await store.get("k")?.valueString == "v")
            #expect(try await store.list(prefix: "").count == 1)
            #expect(await code { try await store.put("k", String(repeating: "v", count: 10_001)) } == .requestTooLarge)
            let one = try await store.watch(key: "k")
            #expect(await code { _ = try await store.watch(key: "k") } == .tooManyRequests)
            let nothing = WatchRequest(KeyRange(key: Bytes("b".utf8), rangeEnd: Bytes("a".utf8)))
            #expect(await code { _ = try await store.watch(nothing) } == .emptyWatchRange)
            withExtendedLifetime(one) {}
        }
    }
}
