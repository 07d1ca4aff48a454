import DroverClient
import EtcdAPI
import Foundation
import TestSupport
import Testing

extension SystemTests {
    /// Engines that replicate beneath us.
    @Suite("replicated databases")
    struct Replication {
        @Test("PostgreSQL: a synchronous standby is promoted under load, and nothing acknowledged is lost")
        func promotion() async throws {
            guard Engine.selected.contains(.postgres) else { return }
            try await withTemporaryDirectory { directory in
                chmod(directory, 0o755)
                let pair = try PostgreSQLPair(directory)
                defer { pair.kill() }
                let (primary, standby) = (pair.primary, pair.standby)
                try pair.replicateSynchronously()
                // A standby alone is refused, with what to do.
                let refused = try run(
                    droverExecutable(),
                    [
                        "serve", "--endpoint", standby.endpoint(database: "postgres"), "--listen-address",
                        "127.0.0.1:\(freePort())",
                    ]
                )
                #expect(refused.status != 0 && refused.error.contains("standby"), "\(refused.error)")
                try await expectSessionAttributes(pair, directory)

                let endpoint = pair.endpoint(database: "ha")
                let servers = [
                    try await TestServer.drover(directory: directory, endpoint: endpoint, log: "one.log"),
                    try await TestServer.drover(directory: directory, endpoint: endpoint, log: "two.log"),
                ]
                let watch = try await WatchCollector(servers[1], prefix: "r/")
                let connections = [try await servers[0].connect(), try await servers[1].connect()]
                let outcomes = try await withThrowingTaskGroup(of: [String: WriteOutcome].self) { group in
                    for lane in 0..<8 {
                        group.addTask { await WriteOutcome.lane(connections[lane % 2], "r/\(lane)") }
                    }
                    try await Task.sleep(nanoseconds: 1_500_000_000)
                    primary.kill()
                    try standby.promote()
                    try await Task.sleep(nanoseconds: 4_000_000_000)
                    group.cancelAll()
                    return try await group.reduce(into: [:]) { $0.merge($1) { $1 } }
                }
                let last = try await put(connections[0], "r/last", "")
                try await WriteOutcome.verify(connections[1], outcomes)
                try await watch.wait(for: Int(last - 1))
                let strays = await watch.strays(2...last)
                #expect(strays.isEmpty, "\(strays.prefix(5))")
                // It goes on after the promotion, not just up to it.
                #expect(outcomes.values.filter(\.isAcknowledged).count > 100)
                for server in servers { server.process.stop() }
            }
        }

        /// `target_session_attrs` of an endpoint, where the first host is a standby.
        private func expectSessionAttributes(
            _ pair: PostgreSQLPair,
            _ directory: String
        ) async throws {
            let hosts = pair.endpoint(database: "attributes", primaryFirst: false)
            for attributes in ["", "&target_session_attrs=read-write", "&target_session_attrs=primary"] {
                let server = try await TestServer.drover(
                    directory: directory,
                    endpoint: hosts + attributes,
                    log: "attributes.log"
                )
                try await put(try await server.connect(), "a", "1")
                server.process.stop()
            }
            // Whoever asks for a server that cannot be written to is told so.
            for attributes in ["any", "standby", "read-only", "prefer-standby"] {
                let refused = try run(
                    droverExecutable(),
                    [
                        "serve", "--endpoint", "\(hosts)&target_session_attrs=\(attributes)", "--listen-address",
                        "127.0.0.1:\(freePort())",
                    ]
                )
                #expect(refused.status != 0 && refused.error.contains("standby"), "\(attributes): \(refused.error)")
            }
        }

        /// Puts keys through `servers` while `body` runs, and checks that nothing was lost.
        private func underLoad(
            _ servers: [TestServer],
            _ body: () async throws -> Void
        ) async throws {
            let watch = try await WatchCollector(servers[0], prefix: "s/")
            let connections = try await servers.asyncMap { try await $0.connect() }
            let outcomes = try await withThrowingTaskGroup(of: [String: WriteOutcome].self) { group in
                for lane in 0..<6 {
                    group.addTask { await WriteOutcome.lane(connections[lane % connections.count], "s/\(lane)") }
                }
                try await Task.sleep(nanoseconds: 1_000_000_000)
                try await body()
                try await Task.sleep(nanoseconds: 3_000_000_000)
                group.cancelAll()
                return try await group.reduce(into: [:]) { $0.merge($1) { $1 } }
            }
            #expect(outcomes.values.filter(\.isAcknowledged).count > 100)
            // It goes on after the change of servers, not just up to it.
            let last = try await put(connections[0], "s/last", "")
            try await WriteOutcome.verify(connections[0], outcomes)
            try await watch.wait(for: Int(last - 1))
            let strays = await watch.strays(2...last)
            #expect(strays.isEmpty, "\(strays.prefix(5))")
        }

        @Test(
            "PostgreSQL: a planned switchover; the old primary comes back as a standby",
            .enabled(if: Engine.selected.contains(.postgres))
        )
        func switchover() async throws {
            try await withTemporaryDirectory { directory in
                chmod(directory, 0o755)
                let pair = try PostgreSQLPair(directory)
                defer { pair.kill() }
                let (old, new) = (pair.primary, pair.standby)
                let endpoint = pair.endpoint(database: "ha")
                let server = try await TestServer.drover(directory: directory, endpoint: endpoint)
                try await underLoad([server]) {
                    // A clean stop hands all of the log over first.
                    old.stop()
                    try new.promote()
                    try old.follow(new)
                    try old.start()
                }
                // The demoted one answers, and is not written to: it is the first that the endpoint names.
                #expect(try old.sql("SELECT pg_is_in_recovery()", database: nil).hasPrefix("t"))
                let again = try await TestServer.drover(directory: directory, endpoint: endpoint, log: "again.log")
                try await put(try await again.connect(), "s/again", "")
                server.process.stop()
                again.process.stop()
            }
        }

        @Test(
            "MariaDB: the primary becomes read-only, and the replica takes its place",
            .enabled(if: Engine.selected.contains(.mariadb))
        )
        func demotion() async throws {
            try await withTemporaryDirectory { directory in
                chmod(directory, 0o755)
                let pair = try MariaDBPair(directory, database: "ha")
                defer { pair.kill() }
                let (old, new) = (pair.primary, pair.replica)
                let endpoint = pair.endpoint(database: "ha")
                let server = try await TestServer.drover(directory: directory, endpoint: endpoint)
                let alone = try run(
                    droverExecutable(),
                    [
                        "serve", "--endpoint", pair.replicaEndpoint(database: "ha"), "--listen-address",
                        "127.0.0.1:\(freePort())",
                    ]
                )
                #expect(alone.status != 0 && alone.error.contains("read-only"), "\(alone.error)")
                try await underLoad([server]) {
                    try old.sql("SET GLOBAL read_only = 1", database: nil)
                    let position = try old.sql("SELECT @@gtid_binlog_pos", database: nil)
                        .trimmingCharacters(in: .whitespacesAndNewlines)
                    let caught = try new.sql("SELECT MASTER_GTID_WAIT('\(position)', 20)", database: nil)
                    #expect(caught.hasPrefix("0"))
                    try pair.promote()
                }
                server.process.stop()
            }
        }

        private func galeraNode(_ number: Int, _ ports: [Int], _ directory: String) throws -> MariaDBServer {
            let own = ports[number]
            let members = ports.map { "127.0.0.1:\($0)" }.joined(separator: ",")
            return try MariaDBServer(
                directory: "\(directory)/node\(number)",
                settings: [
                    "wsrep-on=ON", "wsrep-provider=/usr/lib/galera/libgalera_smm.so",
                    "wsrep-cluster-name=drover-test", "wsrep-cluster-address=gcomm://\(members)",
                    "wsrep-node-name=node\(number)", "wsrep-node-address=127.0.0.1:\(own)",
                    "wsrep-sst-method=rsync", "wsrep-sst-receive-address=127.0.0.1:\(freePort())",
                    "wsrep-provider-options=gmcast.listen_addr=tcp://127.0.0.1:\(own);ist.recv_addr=127.0.0.1:\(freePort());evs.keepalive_period=PT0.5S;evs.inactive_check_period=PT0.5S;evs.suspect_timeout=PT2S;evs.inactive_timeout=PT4S",
                    "binlog-format=ROW", "innodb-autoinc-lock-mode=2",
                ]
            )
        }

        @Test("Galera: three nodes with an instance each, load on all, one node killed")
        func galera() async throws {
            guard Engine.selected.contains(.mariadb) else { return }
            #expect(
                access("/usr/lib/galera/libgalera_smm.so", R_OK) == 0,
                "there is no galera-4; `make test` installs it"
            )
            try await withTemporaryDirectory { directory in
                chmod(directory, 0o755)
                let ports = (0..<3).map { _ in freePort() }
                let nodes = try (0..<3).map { try galeraNode($0, ports, directory) }
                defer { for node in nodes { node.kill() } }
                do {
                    try nodes[0].start(["wsrep-new-cluster"])
                } catch {
                    print(nodes[0].log)
                    throw error
                }
                for node in nodes.dropFirst() {
                    try node.launch()
                    try node.waitUntilReady(seconds: 90)
                }
                let size = try nodes[0].sql("SHOW STATUS LIKE 'wsrep_cluster_size'", database: nil)
                #expect(size.contains("3"), "\(size)")
                let servers = try await (0..<3).asyncMap { number in
                    try await TestServer.drover(
                        directory: directory,
                        endpoint: nodes[number].endpoint(database: "galera"),
                        log: "drover-\(number).log"
                    )
                }
                let watch = try await WatchCollector(servers[0], prefix: "g/")
                let connections = try await servers.asyncMap { try await $0.connect() }
                let begun = ContinuousClock.now
                let lanes = try await withThrowingTaskGroup(of: GaleraLane.self) { group in
                    for lane in 0..<12 {
                        group.addTask { await GaleraLane.run(connections[lane % 3], lane) }
                    }
                    try await Task.sleep(nanoseconds: 5_000_000_000)
                    nodes[2].kill()
                    try await Task.sleep(nanoseconds: 8_000_000_000)
                    group.cancelAll()
                    return try await group.reduce(into: [GaleraLane]()) { $0.append($1) }
                }
                let outcomes = lanes.reduce(into: [String: WriteOutcome]()) { $0.merge($1.outcomes) { $1 } }
                let last: Int64
                do {
                    last = try await put(connections[0], "g/last", "")
                    try await WriteOutcome.verify(connections[1], outcomes)
                } catch {
                    for number in 0..<3 { print(servers[number].process.log, nodes[number].log) }
                    throw error
                }
                try await watch.wait(for: Int(last - 1))
                let (strays, seen) = await (watch.strays(2...last), watch.events.count)
                #expect(strays.isEmpty, "\(strays.prefix(5)), the watch saw \(seen) of \(last - 1)")
                let acknowledged = outcomes.values.filter(\.isAcknowledged).count
                // While all three nodes lived.
                let longest = lanes.map { $0.longestWait(from: begun, to: begun + .seconds(5)) }.max() ?? .zero
                print(
                    "Galera: \(acknowledged) writes through three instances in 13 s, longest wait \(longest) before the kill"
                )
                #expect(acknowledged > 100)
                #expect(longest < .seconds(2))
                // The survivors went on.
                for lane in lanes where lane.number % 3 != 2 {
                    #expect(lane.times.contains { $0 > begun + .seconds(9) })
                }
                for server in servers { server.process.stop() }
            }
        }
    }
}

/// One writer of the Galera test, and when it was answered.
private struct GaleraLane: Sendable {
    var number: Int
    var outcomes: [String: WriteOutcome] = [:]
    var times: [ContinuousClock.Instant] = []

    static func run(_ connection: EtcdConnection, _ number: Int) async -> GaleraLane {
        var lane = GaleraLane(number: number)
        var i = 0
        while !Task.isCancelled {
            i += 1
            let key = "g/\(number)/\(i)"
            lane.outcomes[key] = await WriteOutcome.of(connection, key)
            if lane.outcomes[key]!.isAcknowledged {
                lane.times.append(.now)
            } else {
                try? await Task.sleep(nanoseconds: 20_000_000)
            }
        }
        return lane
    }

    /// The longest time without an answer; one that never came counts as well.
    func longestWait(from begin: ContinuousClock.Instant, to end: ContinuousClock.Instant) -> Duration {
        let times = [begin] + times.filter { $0 < end } + [end]
        return zip(times, times.dropFirst()).map { $0.duration(to: $1) }.max() ?? .zero
    }
}
