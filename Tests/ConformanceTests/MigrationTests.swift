import Drover
import Foundation
import TestSupport
import Testing

/// Databases of older versions, brought up to date as they are opened.
@Suite("migrations", .timeLimit(.minutes(5)))
struct MigrationTests {
    /// Makes the database one of schema 1: what schema 2 has added is taken away.
    private func downgrade(_ engine: Engine, _ directory: String) throws {
        switch engine {
        case .sqlite:
            let sql = """
                DROP TABLE drover_system; ALTER TABLE drover_meta DROP COLUMN system_revision; PRAGMA user_version = 1;
                """
            let result = try run(try #require(find("sqlite3")), ["\(directory)/drover.db", sql])
            #expect(result.status == 0, "\(result.error)")
        case .postgres, .mariadb:
            let server = try #require(try engine.server())
            for sql in [
                "DROP TABLE drover_system", "ALTER TABLE drover_meta DROP COLUMN system_revision",
                "UPDATE drover_meta SET schema_version = 1",
            ] {
                try server.sql(sql, database: Engine.database(directory))
            }
        }
    }

    @Test("schema 1 becomes the present one, and nothing is lost", arguments: Engine.selected)
    func first(engine: Engine) async throws {
        try await withTemporaryDirectory { directory in
            let store = try engine.open(directory)
            for i in 0..<50 { try await store.put("k\(i)", "v\(i)") }
            _ = try await store.delete("k7")
            let before = try await store.list(prefix: "k")
            let revision = try await store.revision()
            let hash = try await store.hash(at: 0)
            await store.close()
            try downgrade(engine, directory)
            // Several at once, where that may be: each finds it done or does it.
            let stores = try await withThrowingTaskGroup(of: Store.self) { group in
                for _ in 0..<(engine == .sqlite ? 1 : 6) { group.addTask { try engine.open(directory) } }
                return try await group.reduce(into: [Store]()) { $0.append($1) }
            }
            for store in stores {
                #expect(try await store.list(prefix: "k").kvs == before.kvs)
                #expect(try await store.revision() == revision)
                #expect(try await store.hash(at: 0).value == hash.value)
                #expect(try await store.alarms().isEmpty)
            }
            // What the new schema is for works.
            let alarm = Alarm(kind: .noSpace, member: 1)
            try await stores[0].activate(alarm)
            for store in stores { #expect(try await store.alarms() == [alarm]) }
            for store in stores { await store.close() }
            // Sessions that end have told what they counted.
            if engine == .postgres {
                let sql = "SELECT deadlocks FROM pg_stat_database WHERE datname = current_database()"
                let deadlocks = try engine.server()?.sql(sql, database: Engine.database(directory))
                #expect(deadlocks?.trimmingCharacters(in: .whitespacesAndNewlines) == "0")
            }
        }
    }
}
