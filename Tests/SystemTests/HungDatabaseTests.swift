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
                        if try await !isGranted(connection, id) { refused += 1 }
                    } catch {
                        // Told to have timed out: as a client of etcd does, it asks again.
                    }
                    try? await Task.sleep(for: .milliseconds(500))
                }
                return refused
            }
        }

        /// Whether a renewal is granted.
        private func isGranted(_ connection: EtcdConnection, _ id: Int64) async throws -> Bool {
            let call = try await connection.open("/etcdserverpb.Lease/LeaseKeepAlive")
            var request = PBLeaseKeepAliveRequest()
            request.id = id
            try await call.send(request)
            for try await message in call.messages {
                let reply = try PBLeaseKeepAliveResponse(serializedBytes: Array(message.readableBytesView))
                await call.cancel()
                return reply.ttl != 0
            }
            throw ClientError.unavailable("a renewal was not answered")
        }

        @Test(
            "for some seconds, and for longer than is waited for: nothing is lost, and leases live whose clients renew them",
            arguments: Engine.shared,
            [7.0, 16.0]
        )
        func hangs(engine: Engine, seconds: Double) async throws {
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
                while await watch.revisions.last ?? 0 < last, Date() < deadline {
                    try await Task.sleep(for: .milliseconds(20))
                }
                let revisions = await watch.revisions
                #expect(
                    revisions.last == last && revisions == revisions.sorted() && Set(revisions).count == revisions.count
                )
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
                let primary = try PostgreSQLServer(directory: "\(directory)/primary")
                try primary.start()
                defer { primary.kill() }
                let standby = try PostgreSQLServer(directory: "\(directory)/standby", cloneOf: primary)
                try standby.start()
                defer { standby.kill() }
                try primary.sql("ALTER SYSTEM SET synchronous_standby_names = '*'", database: nil)
                try primary.reload()
                let endpoint = primary.endpoint(database: "ha").replacingOccurrences(
                    of: ":\(primary.port)/",
                    with: ":\(primary.port),127.0.0.1:\(standby.port)/"
                )
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
                    while (try? await put(connection, "after", "1")) == nil, begun.duration(to: .now) < .seconds(110) {
                        try await Task.sleep(for: .milliseconds(100))
                    }
                    _ = try await get(connection, "after")
                    let taken = begun.duration(to: .now)
                    print("PostgreSQL: \(taken) from the primary's hanging to the first answer of its standby")
                    // A minute is what one flight may take that reads many rows; 35 s are usual.
                    #expect(taken < .seconds(120))
                    try await Task.sleep(for: .seconds(2))
                    group.cancelAll()
                    return try await group.reduce(into: [:]) { $0.merge($1) { $1 } }
                }
                let last = try await put(connection, "f/last", "")
                try await WriteOutcome.verify(connection, outcomes)
                let deadline = Date().addingTimeInterval(20)
                while await watch.revisions.last ?? 0 < last, Date() < deadline {
                    try await Task.sleep(for: .milliseconds(20))
                }
                let revisions = await watch.revisions
                #expect(
                    revisions.last == last && revisions == revisions.sorted() && Set(revisions).count == revisions.count
                )
                drover.process.stop()
                try signal(primary, "CONT")
            }
        }
    }
}
