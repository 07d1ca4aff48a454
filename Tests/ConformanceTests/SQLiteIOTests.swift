import Drover
import Foundation
import Logging
import TestSupport
import Testing

@testable import DroverSQLite

/// Errors of the disk, injected beneath SQLite, and the write-ahead log's limit.
@Suite("the disk beneath the SQLite backend", .serialized, .timeLimit(.minutes(5)))
struct SQLiteIOTests {
    private func open(_ path: String, _ change: (inout SQLiteConfiguration) -> Void = { _ in }) async throws -> Store {
        var configuration = SQLiteConfiguration(path: path)
        change(&configuration)
        var store = StoreConfiguration()
        store.logger = quietLogger
        return try await Store.open(sqlite: configuration, configuration: store)
    }

    private func withFaults(_ body: (String) async throws -> Void) async throws {
        try await DiskFaults.use { try await withTemporaryDirectory { try await body($0) } }
    }

    @Test(
        "an error at COMMIT is settled: what is acknowledged is there, and once",
        arguments: [DiskFaults.Kind.walSyncBefore, .walSyncAfter]
    )
    func unknownOutcome(kind: DiskFaults.Kind) async throws {
        try await withFaults { directory in
            let path = "\(directory)/store.db"
            let store = try await open(path)
            for i in 0..<20 { try await store.put("before/\(i)", "\(i)") }
            for round in 0..<10 {
                DiskFaults.arm(kind, count: 1, path: path)
                // The answer may be late, but it must be the truth.
                let reply = try await store.put("round/\(round)", "\(round)")
                #expect(DiskFaults.failures == 1)
                #expect(reply.revision == Int64(22 + round))
                #expect(try await store.get("round/\(round)")?.version == 1)
            }
            await store.close()
            DiskFaults.disarm()
            let again = try await open(path)
            #expect(try await again.revision() == 31)
            let list = try await again.list(prefix: "")
            #expect(list.kvs.count == 30)
            #expect(list.kvs.allSatisfy { $0.version == 1 })
            await again.close()
        }
    }

    @Test("a disk that fails for longer: calls are told, nothing is half done, and it recovers by itself")
    func longFault() async throws {
        try await withFaults { directory in
            let path = "\(directory)/store.db"
            let store = try await open(path)
            try await store.put("a", "1")
            DiskFaults.arm(.walWrite, path: path)
            await #expect { try await store.put("a", "2") } throws: {
                [.timeout, .noSpace].contains(($0 as? DroverError)?.code)
            }
            #expect(try await store.get("a")?.valueString == "1")
            #expect(try await store.revision() == 2)
            DiskFaults.disarm()
            #expect(try await store.put("a", "3").revision == 3)
            #expect(try await store.get("a")?.version == 2)
            await store.close()
        }
    }

    @Test("a read that fails is told, and the next one works")
    func readFault() async throws {
        try await withFaults { directory in
            let path = "\(directory)/store.db"
            var store = try await open(path)
            for i in 0..<3_000 where i % 100 == 0 {
                try await store.txn(
                    if: [],
                    then: (0..<100).map { .put("k/\(i + $0)", String(repeating: "v", count: 500)) }
                )
            }
            await store.close()
            store = try await open(path) { $0.readerCacheKiB = 64 }
            DiskFaults.arm(.read, path: path)
            await #expect(throws: DroverError.self) { _ = try await store.list(prefix: "k/") }
            DiskFaults.disarm()
            #expect(try await store.list(prefix: "k/").count == 3_000)
            await store.close()
        }
    }

    @Test("the write-ahead log stays under its limit though some snapshot is always open")
    func logLimit() async throws {
        try await withTemporaryDirectory { directory in
            let path = "\(directory)/store.db"
            let limit: Int64 = 8 << 20
            let store = try await open(path) {
                $0.checkpointBytes = 1 << 20
                $0.walLimitBytes = limit
                $0.reservedWALBytes = 0
            }
            for i in 0..<200 { try await store.put("r/\(i)", String(repeating: "x", count: 2_000)) }
            // Snapshots that overlap: without a pause the log could never begin anew.
            let snapshots = (0..<3).map { number in
                Task {
                    while !Task.isCancelled {
                        let refused = store.read { reader in
                            _ = try? reader.beginSnapshot()
                            usleep(UInt32(20_000 + number * 7_000))
                            reader.endSnapshot()
                        }
                        #expect(refused == nil)
                        try? await Task.sleep(nanoseconds: 15_000_000)
                    }
                }
            }
            var largest: Int64 = 0
            for i in 0..<2_000 {
                try await store.txn(
                    if: [],
                    then: (0..<10).map { .put("w/\($0)", String(repeating: "\(i % 10)", count: 3_000)) }
                )
                if i % 20 == 0 {
                    var status = stat()
                    if stat("\(path)-wal", &status) == 0 { largest = max(largest, Int64(status.st_size)) }
                }
            }
            for task in snapshots { task.cancel() }
            for task in snapshots { await task.value }
            // 60 MB went through it; a batch or two may pass before the writer looks again.
            #expect(largest < 2 * limit, "the log grew to \(largest) bytes")
            await store.close()
        }
    }

    /// A log that is copied after each megabyte.
    private static func small(_ configuration: inout SQLiteConfiguration) {
        configuration.checkpointBytes = 1 << 20
        configuration.reservedWALBytes = 0
    }

    /// Puts of 3 kB, sixteen at a time.
    private func write(_ store: Store, _ name: String, count: Int) async throws {
        let value = String(repeating: "v", count: 3_000)
        try await withThrowingTaskGroup(of: Void.self) { group in
            for writer in 0..<16 {
                group.addTask {
                    for i in 0..<count / 16 { try await store.put("\(name)/\(writer)/\(i)", value) }
                }
            }
            try await group.waitForAll()
        }
    }

    @Test("the write-ahead log is copied in slices, and begins anew only once the database file is synced")
    func slices() async throws {
        try await withFaults { directory in
            let path = "\(directory)/store.db"
            let store = try await open(path, Self.small)
            DiskFaults.watch(path: path)
            // Some 20 MB of log in pieces of one: each is synced several times before it makes way for the next. One whose
            // syncs take long makes way for it later.
            var rounds = 0
            while DiskFaults.restarts < 5 && rounds < 10 {
                try await write(store, "a\(rounds)", count: 4_000)
                rounds += 1
            }
            #expect(DiskFaults.restarts >= 5)
            #expect(DiskFaults.databaseSyncs >= 2 * DiskFaults.restarts)
            // And with snapshots that keep parts of it.
            let snapshots = Task {
                while !Task.isCancelled {
                    _ = store.read { reader in
                        _ = try? reader.beginSnapshot()
                        usleep(5_000)
                        reader.endSnapshot()
                    }
                    try? await Task.sleep(nanoseconds: 7_000_000)
                }
            }
            try await write(store, "b", count: 4_000)
            snapshots.cancel()
            await snapshots.value
            await store.close()
            #expect(DiskFaults.unsyncedRestarts == 0)
            let again = try await open(path, Self.small)
            #expect(try await again.list(prefix: "").kvs.count == (rounds + 1) * 4_000)
            await again.close()
        }
    }

    @Test("a disk that loses what it was to sync: the store stops, and the next start has all that was acknowledged")
    func failedSync() async throws {
        try await withFaults { directory in
            let path = "\(directory)/store.db"
            var store = try await open(path, Self.small)
            DiskFaults.watch(path: path)
            try await write(store, "a", count: 2_000)
            let watch = try await store.watch(prefix: "a/")
            let value = String(repeating: "v", count: 3_000)
            let broken = store
            let acknowledged = await withTaskGroup(of: [String].self) { group in
                for writer in 0..<16 {
                    group.addTask {
                        var keys: [String] = []
                        while keys.count < 20_000,
                            (try? await broken.put("b/\(writer)/\(keys.count)", value)) != nil
                        {
                            keys.append("b/\(writer)/\(keys.count)")
                            // Not before: a sync of what the writes above left may be under way.
                            if writer == 0 && keys.count == 8 { DiskFaults.arm(.databaseSync, count: 1, path: path) }
                        }
                        return keys
                    }
                }
                return await group.reduce(into: []) { $0 += $1 }
            }
            #expect(DiskFaults.failures == 1 && !acknowledged.isEmpty)
            // What the file has lost must not be read, nor built upon.
            await #expect {
                _ = try await broken.list(prefix: "a/")
            } throws: {
                "\($0)".contains("could not sync")
            }
            // Who only watches learns of it too.
            await #expect {
                for try await _ in watch {}
            } throws: {
                "\($0)".contains("could not sync")
            }
            let restarts = DiskFaults.restarts
            await store.close()
            #expect(DiskFaults.restarts == restarts)
            store = try await open(path, Self.small)
            let keys = Set(try await store.list(prefix: "").kvs.map(\.keyString))
            #expect(keys.isSuperset(of: acknowledged))
            #expect(keys.filter { $0.hasPrefix("a/") }.count == 2_000)
            // One whose syncs take long begins its log anew later.
            var rounds = 0
            while DiskFaults.restarts == restarts && rounds < 10 {
                try await write(store, "c\(rounds)", count: 2_000)
                rounds += 1
            }
            #expect(DiskFaults.restarts > restarts && DiskFaults.unsyncedRestarts == 0)
            await store.close()
            store = try await open(path, Self.small)
            #expect(try await store.list(prefix: "").kvs.count == keys.count + rounds * 2_000)
            await store.close()
        }
    }

    @Test("slices end at snapshots, and the rest is due once one has reached the end and is synced")
    func schedule() {
        var schedule = CheckpointSchedule()
        var isSyncing = false
        func next(_ frames: Int32) -> CheckpointSchedule.Action {
            schedule.next(frames: frames, slice: 10, due: 20, isSyncing: isSyncing)
        }
        #expect(next(9) == .nothing)
        #expect(next(12) == .pin)
        #expect(next(12) == .nothing, "nothing after the snapshot would be left to copy")
        #expect(next(13) == .copy)
        isSyncing = true
        #expect(next(40) == .nothing)
        isSyncing = false
        #expect(next(41) == .nothing, "the slice that is synced ended before all was due")
        #expect(next(42) == .pin)
        #expect(next(43) == .copy)
        isSyncing = true
        #expect(next(44) == .nothing)
        isSyncing = false
        #expect(next(45) == .finish)
        #expect(next(46) == .nothing)
        // The log has begun anew while a slice was pinned.
        #expect(next(53) == .pin)
        #expect(next(3) == .nothing)
        #expect(next(10) == .pin)
        schedule.interrupt()
        #expect(next(11) == .pin)
    }

    @Test("unsafe file systems and versions are named")
    func hazards() {
        #expect(SQLiteHazards.warnings(version: 3_051_003, fileSystem: 0xef53).isEmpty)
        #expect(SQLiteHazards.warnings(version: 3_040_001, fileSystem: 0xef53).count == 1)
        let network = SQLiteHazards.warnings(version: 3_052_000, fileSystem: 0x6969)
        #expect(network.count == 1 && network[0].contains("NFS"))
        for kind in [0xff53_4d42, 0xfe53_4d42, 0x0102_1997, 0x6573_5546] {
            #expect(SQLiteHazards.warnings(version: 3_052_000, fileSystem: kind).count == 1)
        }
        #expect(SQLiteHazards.warnings(version: 3_052_000, fileSystem: 0x0102_1994)[0].contains("memory"))
    }
}
