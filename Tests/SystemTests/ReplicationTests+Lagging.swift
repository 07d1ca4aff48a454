import DroverClient
import EtcdAPI
import Foundation
import TestSupport
import Testing

extension SystemTests.Replication {
    /// A primary and what is promoted in its place.
    private struct Servers {
        let endpoint: String
        /// Whether the other server has everything up to a revision.
        let hasCopied: (Int64) -> Bool
        /// The other one gets nothing more.
        let fallBehind: () throws -> Void
        /// The primary is gone, and the other takes its place.
        let promote: () throws -> Void
    }

    @Test(
        "PostgreSQL: a standby is promoted that lacks what was acknowledged: refused by whoever has seen more, until restarted",
        .enabled(if: Engine.selected.contains(.postgres))
    )
    func laggingPromotion() async throws {
        try await withTemporaryDirectory { directory in
            chmod(directory, 0o755)
            let pair = try PostgreSQLPair(directory)
            defer { pair.kill() }
            let servers = Servers(endpoint: pair.endpoint(database: "ha")) { known in
                let revision = try? pair.standby.sql("SELECT revision FROM drover_meta", database: "ha")
                return revision?.trimmingCharacters(in: .whitespacesAndNewlines) == "\(known)"
            } fallBehind: {
                pair.standby.stop()
            } promote: {
                pair.primary.kill()
                try pair.standby.start()
                try pair.standby.promote()
            }
            try await promoteLacking(servers, directory)
        }
    }

    @Test(
        "MariaDB: a replica takes the primary's place that lacks what was acknowledged: refused by whoever has seen more",
        .enabled(if: Engine.selected.contains(.mariadb))
    )
    func laggingReplica() async throws {
        try await withTemporaryDirectory { directory in
            chmod(directory, 0o755)
            let pair = try MariaDBPair(directory, database: "ha")
            defer { pair.kill() }
            let servers = Servers(endpoint: pair.endpoint(database: "ha")) { known in
                let revision = try? pair.replica.sql("SELECT revision FROM drover_meta", database: "ha")
                return revision?.trimmingCharacters(in: .whitespacesAndNewlines) == "\(known)"
            } fallBehind: {
                try pair.replica.sql("STOP SLAVE", database: nil)
            } promote: {
                pair.primary.kill()
                try pair.promote()
            }
            try await promoteLacking(servers, directory)
        }
    }

    private func promoteLacking(_ servers: Servers, _ directory: String) async throws {
        let endpoint = servers.endpoint
        let running = try await TestServer.drover(directory: directory, endpoint: endpoint, log: "running.log")
        let stopped = try await TestServer.drover(directory: directory, endpoint: endpoint, log: "stopped.log")
        let watches = [
            try await WatchCollector(running, prefix: "l/"), try await WatchCollector(stopped, prefix: "l/"),
        ]
        let connection = try await running.connect()
        var known: Int64 = 0
        for i in 0..<5 { known = try await put(connection, "l/\(i)", "both have it") }
        try await wait(30) { servers.hasCopied(known) }
        try servers.fallBehind()
        for i in 0..<5 { try await put(connection, "l/\(i)", "the primary alone has it") }
        for watch in watches { try await watch.wait(for: 10) }
        // One instance is not there while the servers change, nor while others go on beyond what it has seen.
        stopped.process.signal(SIGSTOP)
        try servers.promote()

        // Nobody writes, and it finds out; no revision is issued a second time.
        try await expectLost(running, watches[0])
        await #expect {
            try await put(connection, "l/new", "")
        } throws: {
            ($0 as? ClientError)?.message.contains("lost revisions") == true
        }
        running.process.stop()

        let accepting = try await TestServer.drover(directory: directory, endpoint: endpoint, log: "accepting.log")
        let after = try await accepting.connect()
        #expect(accepting.process.log.contains("a new generation of the database's history begins"))
        #expect(try await get(after, "l/0").kvs.first?.value == Data("both have it".utf8))
        for i in 0..<20 { #expect(try await put(after, "l/\(i)", "after") == known + 1 + Int64(i)) }

        // Its revisions 7 to 11 are not those that the database has now, though that stands higher.
        stopped.process.signal(SIGCONT)
        try await expectLost(stopped, watches[1])
        #expect(await watches[1].events.allSatisfy { $0.kv.value != Data("after".utf8) })
        stopped.process.stop()
        accepting.process.stop()
    }
}
