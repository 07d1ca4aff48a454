import Foundation
import TestSupport
import Testing

@testable import Drover

/// Snapshots that are restored by hand, record by record.
@Suite("restoring", .timeLimit(.minutes(5)))
struct RestoreTests {
    private func put(
        _ key: String,
        _ main: Int64,
        after previous: (Int64, Int64) = (0, 0),
        version: Int64 = 1
    ) -> SnapshotRecord {
        .event(
            .init(
                key: Bytes(key.utf8),
                value: Bytes("value of \(main)".utf8),
                main: main,
                sub: 0,
                createRevision: main - version + 1,
                version: version,
                lease: 0,
                previousMain: previous.0,
                previousSub: previous.1
            )
        )
    }

    private func bytes(_ records: [SnapshotRecord]) -> Bytes {
        var writer = StateWriter()
        for record in records { record.write(to: &writer) }
        return SnapshotRecord.head + writer.bytes
    }

    private func restore(
        _ bytes: Bytes,
        into driver: any Driver,
        bumpingBy bump: Int64 = 0
    ) throws -> SnapshotRestore.Result {
        var place = 0
        return try SnapshotRestore(into: driver, bumpingBy: bump) { count in
            guard place + count <= bytes.count else { throw DroverError(.badSnapshot) }
            defer { place += count }
            return Bytes(bytes[place..<place + count])
        }.run()
    }

    private func findings(_ backend: Backend, _ directory: String) throws -> [String] {
        let driver = try backend.makeDriver(directory)
        defer { driver.close() }
        let writer = try driver.openWriter()
        defer { writer.close() }
        var check = StoreCheck(try driver.openReader())
        return try check.run().findings.map(\.description)
    }

    @Test("a restore that was cut off leaves a database that nobody opens", arguments: Backend.selected)
    func cutOff(backend: Backend) async throws {
        try await withTemporaryDirectory { directory in
            let whole = bytes((2...9_000).map { put("key/\($0)", $0) } + [.end(revision: 9_000, compacted: 0)])
            #expect(throws: DroverError.self) {
                try restore(Bytes(whole.prefix(whole.count * 9 / 10)), into: try backend.makeDriver(directory))
            }
            #expect {
                try backend.open(directory)
            } throws: {
                ($0 as? DroverError)?.message.contains("not to its end") == true
            }
            let found = try findings(backend, directory)
            #expect(found.contains { $0.contains("not to its end") })
            #expect {
                try restore(whole, into: try backend.makeDriver(directory))
            } throws: {
                ($0 as? DroverError)?.message.contains("not empty") == true
            }
        }
        try await withTemporaryDirectory { directory in
            let whole = bytes((2...9_000).map { put("key/\($0)", $0) } + [.end(revision: 9_000, compacted: 0)])
            let result = try restore(whole, into: try backend.makeDriver(directory))
            #expect(result.revision == 9_000 && result.events == 8_999 && result.longestKey == 8)
            let store = try backend.open(directory)
            #expect(try await store.list(prefix: "key/", limit: 1).count == 8_999)
            await store.close()
            #expect(try findings(backend, directory).isEmpty)
        }
    }

    /// A deletion of a million and more keys that was swept, and a key that was made anew behind it.
    @Test("a link to what a sweep had taken away takes no living key with it", arguments: Backend.selected)
    func danglingLink(backend: Backend) async throws {
        try await withTemporaryDirectory { directory in
            let records = [
                put("a", 3), put("b", 4, after: (2, 1 << 20)), put("c", 5), put("c", 6, after: (5, 0), version: 2),
                .end(revision: 6, compacted: 3),
            ]
            _ = try restore(bytes(records), into: try backend.makeDriver(directory))
            let store = try backend.open(directory)
            try await store.compact(to: 6, physical: true)
            #expect(try await store.list(prefix: "").kvs.map(\.keyString) == ["a", "b", "c"])
            #expect(try await store.get("a")?.valueString == "value of 3")
            #expect(try await store.get("c")?.valueString == "value of 6")
            await store.close()
            #expect(try findings(backend, directory).isEmpty)
        }
    }

    @Test("a revision that is raised is compacted up to there, and goes on from there", arguments: Backend.selected)
    func bump(backend: Backend) async throws {
        try await withTemporaryDirectory { directory in
            let records = [put("a", 2), put("a", 3, after: (2, 0), version: 2), .end(revision: 3, compacted: 0)]
            let result = try restore(bytes(records), into: try backend.makeDriver(directory), bumpingBy: 1_000)
            #expect(result.revision == 1_003 && result.compacted == 1_003)
            let store = try backend.open(directory)
            #expect(try await store.get("a")?.modRevision == 3)
            await #expect {
                try await store.get("a", revision: 3)
            } throws: {
                ($0 as? DroverError)?.code == .compacted
            }
            await #expect {
                for try await _ in try await store.watch(prefix: "a", startRevision: 4) {}
            } throws: {
                ($0 as? DroverError)?.code == .compacted
            }
            #expect(try await store.put("b", "1").revision == 1_004)
            await store.close()
            #expect(try findings(backend, directory).isEmpty)
        }
    }

    @Test("a key that the database cannot hold is said before anything is written", arguments: Backend.selected)
    func longKey(backend: Backend) async throws {
        try await withTemporaryDirectory { directory in
            let all = bytes([put(String(repeating: "k", count: 5_000), 2), .end(revision: 2, compacted: 0)])
            var place = 0
            let summary = try SnapshotRestore.summary { count in
                defer { place += count }
                return Bytes(all[place..<place + count])
            }
            let driver = try backend.makeDriver(directory)
            let restore = SnapshotRestore(into: driver) { _ in [] }
            #expect(summary.longestKey == 5_000)
            if backend == .sqlite {
                try restore.check(summary)
            } else {
                #expect {
                    try restore.check(summary)
                } throws: {
                    ($0 as? DroverError)?.message.contains("5000 bytes") == true
                }
                #expect {
                    try self.restore(all, into: driver)
                } throws: {
                    ($0 as? DroverError)?.message.contains("5000 bytes") == true
                }
            }
            driver.close()
        }
    }

    @Test("a database that is served is not restored into", arguments: Backend.selected.filter { $0 != .sqlite })
    func served(backend: Backend) async throws {
        try await withTemporaryDirectory { directory in
            let store = try backend.open(directory)
            // An instance is known once it has said that it lives.
            for _ in 0..<500 where try await store.onReader({ try $1.instances().isEmpty }) {
                try await Task.sleep(nanoseconds: 10_000_000)
            }
            #expect {
                try restore(
                    bytes([put("a", 2), .end(revision: 2, compacted: 0)]),
                    into: try backend.makeDriver(directory)
                )
            } throws: {
                ($0 as? DroverError)?.message.contains("serves this database") == true
            }
            #expect(try await store.revision() == 1)
            await store.close()
        }
    }
}
