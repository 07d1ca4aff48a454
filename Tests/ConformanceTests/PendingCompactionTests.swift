import Foundation
import TestSupport
import Testing

@testable import Drover
@testable import DroverSQLite

/// Physical compactions whose sweep comes to no end: whoever waits is told.
@Suite("physical compactions that cannot be finished", .serialized, .timeLimit(.minutes(2)))
struct PendingCompactionTests {
    /// A physical compaction of all that `store` has, which waits for a sweep that is held.
    private func begin(_ store: Store) async throws -> (compaction: Task<Void, any Error>, mark: Int64, SweepHold) {
        for i in 0..<50 { try await store.put("k", "\(i)") }
        let hold = store.committer.holdSweep()
        try await hold.begin()
        let mark = try await store.revision()
        let compaction = Task { try await store.compact(to: mark, physical: true) }
        // The mark has moved, so that it waits for nothing but the sweep.
        try await soon { try await meta(store).compacted == mark }
        return (compaction, mark, hold)
    }

    private func meta(_ store: Store) async throws -> StoreMeta {
        try await store.onReader { _, reader in try reader.readMeta() }
    }

    private func soon(_ isTrue: () async throws -> Bool) async throws {
        let deadline = Date().addingTimeInterval(30)
        while try await !isTrue() {
            if Date() > deadline { throw DroverError(.timeout) }
            try await Task.sleep(nanoseconds: 20_000_000)
        }
    }

    /// What a compaction ends with while its sweep is held.
    private func failure(_ compaction: Task<Void, any Error>) async throws -> String {
        let begun = ContinuousClock.now
        let result = await compaction.result
        // A sweep that is held would be waited for for minutes.
        #expect(begun.duration(to: .now) < .seconds(30))
        guard case .failure(let error) = result else {
            Issue.record("a compaction was answered whose sweep had not ended")
            return ""
        }
        return "\(error)"
    }

    @Test("the store closes: the caller is told, and the next start goes on", arguments: Backend.selected)
    func close(backend: Backend) async throws {
        try await withTemporaryDirectory { directory in
            let store = try backend.open(directory)
            let (compaction, mark, hold) = try await begin(store)
            #expect(try await meta(store).swept < mark)
            await store.close()
            #expect(try await failure(compaction).contains(DroverError(.stopped).message))
            hold.release()
            let again = try backend.open(directory)
            try await soon { try await meta(again).swept == mark }
            #expect(try await again.get("k")?.version == 50)
            await again.close()
        }
    }

    @Test("the history is lost: the caller is told", arguments: Backend.selected.filter { $0 != .sqlite })
    func lost(backend: Backend) async throws {
        guard let server = try backend.server() else { return }
        try await withTemporaryDirectory { directory in
            let store = try backend.open(directory)
            let (compaction, _, hold) = try await begin(store)
            try server.sql(
                "UPDATE drover_meta SET revision = revision - 1, batch = batch - 1",
                database: Engine.database(directory)
            )
            #expect(try await failure(compaction).contains("lost revisions"))
            hold.release()
            await store.close()
        }
    }

    @Test("the database file cannot be synced: the caller is told", .enabled(if: Backend.selected.contains(.sqlite)))
    func failedSync() async throws {
        try await DiskFaults.use {
            try await withTemporaryDirectory { directory in
                var configuration = SQLiteConfiguration(path: "\(directory)/store.db")
                configuration.checkpointBytes = 1 << 20
                configuration.reservedWALBytes = 0
                var settings = StoreConfiguration()
                settings.logger = quietLogger
                let store = try await Store.open(sqlite: configuration, configuration: settings)
                let (compaction, _, hold) = try await begin(store)
                DiskFaults.arm(.databaseSync, count: 1, path: configuration.path)
                let value = String(repeating: "v", count: 30_000)
                var puts = 0
                while puts < 5_000, (try? await store.put("long/\(puts)", value)) != nil { puts += 1 }
                #expect(DiskFaults.failures == 1)
                #expect(try await failure(compaction).contains("could not sync"))
                hold.release()
                await store.close()
            }
        }
    }
}
