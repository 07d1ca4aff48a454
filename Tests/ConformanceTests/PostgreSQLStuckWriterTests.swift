import Drover
import Foundation
import TestSupport
import Testing

@testable import DroverPostgreSQL

@Suite("a writer that stands still on PostgreSQL", .timeLimit(.minutes(2)))
struct PostgreSQLStuckWriterTests {
    @Test(
        "in the middle of a flight's part, where the server has no limit on it: others wait for five seconds at most",
        .enabled(if: Backend.selected.contains(.postgres))
    )
    func betweenStatementAndSync() async throws {
        try await withTemporaryDirectory { directory in
            let store = try Backend.postgres.open(directory)
            try await store.put("k", "1")
            let other = try #require(try Backend.postgres.makeDriver(directory) as? PostgreSQLDriver)
            let stuck = try other.connect()
            try stuck.send(PGStatements.begin)
            try stuck.send(PGStatements.lockMeta)
            try stuck.land()
            // A whole statement has been sent, and its Sync has not.
            try stuck.send(PGStatements.meta)
            try stuck.send(PGStatements.meta)
            try stuck.flush()
            let begun = ContinuousClock.now
            let revision = try await store.put("k", "2").revision
            #expect(begun.duration(to: .now) < .seconds(5.5))
            #expect(revision == 3)
            #expect(throws: DriverFailure.self) { try stuck.land() }
            other.close()
            await store.close()
        }
    }
}
