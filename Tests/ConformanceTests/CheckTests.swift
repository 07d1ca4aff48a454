import Drover
import Foundation
import TestSupport
import Testing

/// The check finds nothing in a store that was used hard, and each kind of damage in one that was damaged.
@Suite("check", .timeLimit(.minutes(5)))
struct CheckTests {
    private func report(_ engine: Engine, _ directory: String) throws -> StoreCheck.Report {
        let driver = try engine.makeDriver(directory)
        defer { driver.close() }
        let writer = try driver.openWriter()
        defer { writer.close() }
        var check = StoreCheck(try driver.openReader())
        return try check.run()
    }

    private func fill(_ store: Store) async throws {
        let lease = try await store.grantLease(ttl: 600)
        var random = SeededGenerator(seed: 8)
        for i in 0..<400 {
            let key = "k\(Int.random(in: 0..<40, using: &random))"
            switch i % 5 {
            case 0: try await store.delete(key)
            case 1: try await store.put(key, "leased", lease: lease.id)
            case 2:
                try await store.txn(
                    if: [],
                    then: [
                        .deleteRange(DeleteRangeRequest(key: Bytes(key.utf8))),
                        .put(PutRequest(key: Bytes("m\(i)".utf8), value: Bytes("x".utf8))),
                        .put(PutRequest(key: Bytes("n\(i % 7)".utf8), value: [])),
                    ]
                )
            default: try await store.put(key, String(repeating: "v", count: i))
            }
            if i == 200 { try await store.compact(to: try await store.revision() - 50, physical: true) }
        }
        try await store.put("last", "one")
        try await store.put("last", "two")
    }

    private func sql(_ engine: Engine, _ directory: String, _ text: String) throws {
        if let server = try engine.server() {
            try server.sql(text, database: Engine.database(directory))
        } else {
            let result = try run(try #require(find("sqlite3")), ["\(directory)/drover.db", text])
            #expect(result.status == 0, "\(result.error)")
        }
    }

    @Test("nothing is wrong with a store that was used hard, before the sweep and after", arguments: Engine.selected)
    func sound(engine: Engine) async throws {
        try await withTemporaryDirectory { directory in
            let store = try engine.open(directory)
            try await fill(store)
            let keys = try await store.range(RangeRequest(.all)).count
            await store.close()
            let found = try report(engine, directory)
            #expect(found.findings.isEmpty, "\(found.findings)")
            #expect(found.keys == Int(keys) && found.events > 300 && found.leases == 1)
        }
    }

    /// A read at the mark shows what was replaced behind it.
    @Test("an event that was replaced after the mark must be there", arguments: Engine.selected)
    func replacedAfterTheMark(engine: Engine) async throws {
        try await withTemporaryDirectory { directory in
            let store = try engine.open(directory)
            try await store.put("x", "1")
            let mark = try await store.put("y", "1").revision
            try await store.compact(to: mark, physical: true)
            try await store.put("x", "2")
            await store.close()
            let sound = try report(engine, directory)
            #expect(sound.findings.isEmpty)
            let log = engine == .sqlite ? "id >> 20" : "main"
            try sql(engine, directory, "DELETE FROM drover_log WHERE \(log) = \(mark - 1)")
            let found = try report(engine, directory)
            #expect(
                found.findings.map(\.description) == [
                    "the event before revision \(mark + 1), event 0 is missing from the log"
                ]
            )
        }
    }

    /// A key that was deleted twice keeps the mark of the second deletion until its own turn.
    @Test("nothing is wrong between any two steps of a sweep", arguments: Engine.selected)
    func betweenSteps(engine: Engine) async throws {
        try await withTemporaryDirectory { directory in
            let store = try engine.open(directory)
            for key in ["k", "l"] {
                for _ in 0..<3 {
                    try await store.put(key, "1")
                    try await store.put(key, "2")
                    try await store.delete(key)
                }
            }
            let newest = try await store.put("m", "1").revision
            await store.close()
            let driver = try engine.makeDriver(directory)
            defer { driver.close() }
            let writer = try driver.openWriter()
            defer { writer.close() }
            var changes = ChangeSet(base: try writer.begin(BatchPrefetch()).meta)
            changes.compacted = newest
            try writer.commit(changes)
            var steps = 0
            repeat {
                var check = StoreCheck(try driver.openReader())
                let found = try check.run().findings
                #expect(found.isEmpty, "after step \(steps): \(found)")
                steps += 1
            } while try writer.sweep(rows: 1, position: .max) != .finished
            #expect(steps > 10)
        }
    }

    @Test("each kind of damage is found and said", arguments: Engine.selected)
    func damaged(engine: Engine) async throws {
        try await withTemporaryDirectory { directory in
            let store = try engine.open(directory)
            try await fill(store)
            let revision = try await store.revision()
            await store.close()
            let key = engine == .mariadb ? "k" : "key"
            let last =
                engine == .postgres
                ? "convert_to('last', 'UTF8')" : engine == .sqlite ? "CAST('last' AS BLOB)" : "'last'"
            let log = engine == .sqlite ? "id >> 20" : "main"
            func damage(_ text: String, _ words: String) throws {
                try sql(engine, directory, text)
                let found = try report(engine, directory)
                #expect(found.findings.contains { $0.description.contains(words) }, "\(text): \(found.findings)")
            }
            try damage("DELETE FROM drover_lease", "hangs on a lease that does not exist")
            try damage("UPDATE drover_current SET version = 9 WHERE \(key) = \(last)", "differ in version")
            try damage("UPDATE drover_current SET version = 2, length = 77 WHERE \(key) = \(last)", "not the 77")
            try damage("DELETE FROM drover_current WHERE \(key) = \(last)", "neither live nor deleted")
            try damage("DELETE FROM drover_log WHERE \(log) = \(revision - 1)", "missing from the log")
            try damage(
                "UPDATE drover_meta SET revision = \(revision + 5)",
                "revisions \(revision + 1) to \(revision + 5)"
            )
            try damage("UPDATE drover_meta SET compacted = \(revision + 50)", "beyond revision")
        }
    }
}
