import DroverClient
import EtcdAPI
import Foundation
import TestSupport
import Testing

extension SystemTests {
    /// Servers that keep their connections and answer nothing: stopped processes, disks and machines that stand still.
    @Suite("a database server that hangs")
    struct HungDatabases {
        /// Stops a server's processes, or lets them go on.
        private func signal(_ server: any DatabaseServer, _ name: String) throws {
            let pid = (server as? PostgreSQLServer)?.serverProcess ?? (server as? MariaDBServer)?.serverProcess
            let process = try #require(pid)
            _ = try run("/bin/kill", ["-\(name)", "\(process)"])
            _ = try run("/usr/bin/pkill", ["-\(name)", "-P", "\(process)"])
            // The program that started it as another user stops with it, and must go on first.
            let status = try String(contentsOfFile: "/proc/\(process)/status", encoding: .utf8)
            let parent = status.split(separator: "\n").first { $0.hasPrefix("PPid:") }?.split(separator: "\t").last
            if name == "CONT", getuid() == 0, let parent { _ = try run("/bin/kill", ["-CONT", String(parent)]) }
        }

        /// Keeps a lease alive until it is told to end; how often it was told that there is no such lease.
        private func keepAlive(_ server: TestServer, _ id: Int64) -> Task<Int, any Error> {
            Task {
                let connection = try await server.connect()
                var refused = 0
                while !Task.isCancelled {
                    do {
                        if try await renew(connection, id) == 0 { refused += 1 }
                    } catch {
                        // Told to have timed out: as a client of etcd does, it asks again.
                    }
                    try? await Task.sleep(for: .milliseconds(500))
                }
                return refused
            }
        }

        @Test(
            "for some seconds, and for longer than is waited for: nothing is lost, and leases live whose clients renew them",
            arguments: [7.0, 16.0]
        )
        func hangs(seconds: Double) async throws {
            try await Engine.allShared { engine in try await hangs(engine, seconds) }
        }

        private func hangs(_ engine: Engine, _ seconds: Double) async throws {
            try await withTemporaryDirectory { directory in
                chmod(directory, 0o755)
                let database: any DatabaseServer =
                    engine == .postgres
                    ? try PostgreSQLServer(directory: "\(directory)/pg")
                    : try MariaDBServer(directory: "\(directory)/my")
                try database.start()
                defer { database.kill() }
                let drover = try await TestServer.drover(
                    directory: directory,
                    endpoint: database.endpoint(database: "hung")
                )
                let connection = try await drover.connect()
                let watch = try await WatchCollector(drover, prefix: "h/")
                var grant = PBLeaseGrantRequest()
                grant.id = 5
                grant.ttl = 5
                let _: PBLeaseGrantResponse = try await connection.unary("/etcdserverpb.Lease/LeaseGrant", grant)
                try await put(connection, "leased", "", lease: 5)
                let renewals = keepAlive(drover, 5)
                let outcomes = try await withThrowingTaskGroup(of: [String: WriteOutcome].self) { group in
                    for lane in 0..<8 {
                        group.addTask { await WriteOutcome.lane(connection, "h/\(lane)") }
                    }
                    try await Task.sleep(for: .seconds(1))
                    try signal(database, "STOP")
                    let begun = ContinuousClock.now
                    let during = Task { await WriteOutcome.of(connection, "during") }
                    try await Task.sleep(for: .seconds(seconds))
                    try signal(database, "CONT")
                    _ = await during.value
                    print("\(engine): a put as the server hung for \(seconds) s took \(begun.duration(to: .now))")
                    #expect(begun.duration(to: .now) < .seconds(30))
                    try await Task.sleep(for: .seconds(4))
                    group.cancelAll()
                    return try await group.reduce(into: [:]) { $0.merge($1) { $1 } }
                }
                #expect(try await get(connection, "leased").kvs.count == 1)
                let last = try await put(connection, "h/last", "")
                try await WriteOutcome.verify(connection, outcomes)
                renewals.cancel()
                #expect(try await renewals.value == 0)
                // Nobody renews it any more.
                let deadline = Date().addingTimeInterval(15)
                while try await get(connection, "leased").kvs.count == 1, Date() < deadline {
                    try await Task.sleep(for: .milliseconds(100))
                }
                #expect(try await get(connection, "leased").kvs.isEmpty)
                try await watch.waitInOrder(until: last)
                drover.process.stop()
            }
        }

        @Test(
            "PostgreSQL: the primary hangs, and its standby takes its place",
            .enabled(if: Engine.selected.contains(.postgres))
        )
        func failsOver() async throws {
            try await withTemporaryDirectory { directory in
                chmod(directory, 0o755)
                let pair = try PostgreSQLPair(directory)
                defer { pair.kill() }
                // One that stands still cannot end.
                defer { try? signal(pair.primary, "CONT") }
                try pair.replicateSynchronously()
                let (primary, standby) = (pair.primary, pair.standby)
                let endpoint = pair.endpoint(database: "ha")
                let drover = try await TestServer.drover(directory: directory, endpoint: endpoint)
                let connection = try await drover.connect()
                let watch = try await WatchCollector(drover, prefix: "f/")
                let outcomes = try await withThrowingTaskGroup(of: [String: WriteOutcome].self) { group in
                    for lane in 0..<8 {
                        group.addTask { await WriteOutcome.lane(connection, "f/\(lane)") }
                    }
                    try await Task.sleep(for: .seconds(1))
                    try signal(primary, "STOP")
                    let begun = ContinuousClock.now
                    try standby.promote()
                    let promoted = begun.duration(to: .now)
                    while (try? await put(connection, "after", "1")) == nil, begun.duration(to: .now) < .seconds(60) {
                        try await Task.sleep(for: .milliseconds(100))
                    }
                    let written = begun.duration(to: .now)
                    _ = try await get(connection, "after")
                    let taken = begun.duration(to: .now)
                    print(
                        "PostgreSQL: from the primary's hanging \(promoted) until its standby was promoted, \(written) until that was written to, \(taken) until it was read"
                    )
                    if taken > .seconds(45) { print(drover.process.log) }
                    #expect(taken < .seconds(45))
                    try await Task.sleep(for: .seconds(2))
                    group.cancelAll()
                    return try await group.reduce(into: [:]) { $0.merge($1) { $1 } }
                }
                let last = try await put(connection, "f/last", "")
                try await WriteOutcome.verify(connection, outcomes)
                try await watch.waitInOrder(until: last)
                drover.process.stop()
                try signal(primary, "CONT")
            }
        }
    }
}
