import Drover
import Foundation
import TestSupport
import Testing

@Suite("what deleted keys leave behind on PostgreSQL", .timeLimit(.minutes(2)))
struct PostgreSQLCleaningTests {
    private func cleanings(_ directory: String, _ table: String) throws -> Int {
        let sql = "SELECT vacuum_count FROM pg_stat_user_tables WHERE relname = '\(table)'"
        let text = try #require(try Backend.postgres.server()).sql(sql, database: Engine.database(directory))
        return Int(text.trimmingCharacters(in: .whitespacesAndNewlines)) ?? -1
    }

    private func wait(_ isTrue: () throws -> Bool) async throws -> Bool {
        for _ in 0..<300 {
            if try isTrue() { return true }
            try await Task.sleep(nanoseconds: 100_000_000)
        }
        return false
    }

    @Test(
        "is taken away once many were deleted, and once many deletions were compacted, without waiting for autovacuum",
        .enabled(if: Backend.selected.contains(.postgres))
    )
    func cleaned() async throws {
        try await withTemporaryDirectory { directory in
            try SnapshotTests().fill(.postgres, directory, count: 60_000, lease: 0)
            let store = try Backend.postgres.open(directory)
            // The server's own comes by every few seconds here.
            for table in ["drover_current", "drover_tombstone"] {
                let sql = "ALTER TABLE \(table) SET (autovacuum_enabled = off)"
                try #require(try Backend.postgres.server()).sql(sql, database: Engine.database(directory))
            }
            for i in 0..<10 { try await store.put("few/\(i)", "v") }
            _ = try await store.delete(prefix: "few/")
            // Few are left to the server.
            try await Task.sleep(nanoseconds: 2_500_000_000)
            #expect(try cleanings(directory, "drover_current") == 0)
            let deleted = try await store.delete(prefix: "wide/")
            #expect(deleted == 60_000)
            let tables = ["drover_current", "drover_tombstone"]
            #expect(try await wait { try tables.allSatisfy { try cleanings(directory, $0) > 0 } })
            let before = try cleanings(directory, "drover_tombstone")
            // A deletion at the revision of compaction itself stays.
            try await store.put("after", "v")
            try await store.compact(to: try await store.revision(), physical: true)
            #expect(try await wait { try cleanings(directory, "drover_tombstone") > before })
            #expect(try await store.list(prefix: "").count == 1)
            await store.close()
        }
    }
}
