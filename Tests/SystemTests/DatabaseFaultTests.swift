import DroverClient
import EtcdAPI
import Foundation
import Synchronization
import TestSupport
import Testing

extension SystemTests {
    /// Faults of the database, on servers of the suite's own.
    @Suite("faults of the database server")
    struct DatabaseFaults {
        /// A server that keeps what it has acknowledged when it is killed.
        func withServer(
            _ engine: Engine,
            settings: [String] = [],
            _ body: (any DatabaseServer, String) async throws -> Void
        ) async throws {
            try await withTemporaryDirectory { directory in
                let server: any DatabaseServer =
                    engine == .postgres
                    ? try PostgreSQLServer(directory: "\(directory)/pg", settings: settings)
                    : try MariaDBServer(
                        directory: "\(directory)/my",
                        settings: ["innodb-flush-log-at-trx-commit=2"] + settings
                    )
                // The server's user must reach its directory.
                chmod(directory, 0o755)
                try server.start()
                defer { server.kill() }
                try await body(server, directory)
            }
        }

        @Test("the server stops as in a crash and is started again under load, three times", arguments: Engine.shared)
        func restart(engine: Engine) async throws {
            try await withServer(engine) { database, directory in
                let drover = try await TestServer.drover(
                    directory: directory,
                    endpoint: database.endpoint(database: "faults")
                )
                let connection = try await drover.connect()
                let watch = try await WatchCollector(drover, prefix: "r/")
                let outcomes = Mutex<[String: WriteOutcome]>([:])
                try await withThrowingTaskGroup(of: [String: WriteOutcome].self) { group in
                    for lane in 0..<8 {
                        group.addTask {
                            var seen: [String: WriteOutcome] = [:]
                            var i = 0
                            while !Task.isCancelled {
                                i += 1
                                let key = "r/\(lane)/\(i)"
                                seen[key] = await WriteOutcome.of(connection, key)
                            }
                            return seen
                        }
                    }
                    for round in 0..<3 {
                        try await Task.sleep(nanoseconds: 700_000_000)
                        if round == 1 { database.stop() } else { database.kill() }
                        try await Task.sleep(nanoseconds: 300_000_000)
                        try database.start()
                    }
                    try await Task.sleep(nanoseconds: 1_000_000_000)
                    group.cancelAll()
                    for try await seen in group { outcomes.withLock { $0.merge(seen) { $1 } } }
                }
                let all = outcomes.withLock { $0 }
                let acknowledged = all.values.filter { if case .acknowledged = $0 { true } else { false } }.count
                #expect(acknowledged > 100)
                try await WriteOutcome.verify(connection, all)
                // The watch went through it all, without a gap.
                let last = try await put(connection, "r/last", "")
                try await watch.wait(for: Int(last - 1))
                let strays = await watch.strays(2...last)
                #expect(strays.isEmpty, "\(strays.prefix(5))")
                drover.process.stop()
            }
        }

        @Test("connections cut after each message of both flights, in both directions", arguments: Engine.shared)
        func cutConnections(engine: Engine) async throws {
            try await withServer(engine) { database, directory in
                let proxy = try await CuttingProxy(to: database.port, engine)
                let direct = database.endpoint(database: "faults")
                let through = direct.replacingOccurrences(of: ":\(database.port)/", with: ":\(proxy.port)/")
                let drover = try await TestServer.drover(directory: directory, endpoint: through)
                let connection = try await drover.connect()
                var outcomes: [String: WriteOutcome] = [:]
                var number = 0
                // What the writer says first: executed, not prepared.
                let mark = engine == .postgres ? "\u{0}d_begin\u{0}" : "SET SESSION autocommit = 0, wait_timeout = 4"
                for direction in CuttingProxy.Direction.allCases {
                    // After none of the batch's messages, after one, and so on, until a batch had no more to cut.
                    var messages = 0
                    while messages < 200 {
                        let before = proxy.cuts
                        proxy.cut(direction, after: messages, from: mark)
                        number += 1
                        outcomes["c/\(number)"] = await WriteOutcome.of(connection, "c/\(number)")
                        if proxy.cuts == before { break }
                        messages += 1
                    }
                    // Two flights, each answered.
                    #expect((direction == .toServer ? 2..<100 : 10..<200).contains(messages), "\(messages)")
                    print("\(engine): a batch of one put has \(messages) messages \(direction)")
                }
                proxy.pass()
                try await WriteOutcome.verify(connection, outcomes)
                let lost = outcomes.values.filter { if case .acknowledged = $0 { false } else { true } }.count
                print("\(engine): \(proxy.cuts) connections cut, \(outcomes.count) writes, \(lost) not acknowledged")
                drover.process.stop()
                await proxy.close()
            }
        }

        @Test(
            "a long outage: not ready, calls time out as in etcd, the log has the cause, and all recovers by itself",
            arguments: Engine.shared
        )
        func outage(engine: Engine) async throws {
            try await withServer(engine) { database, directory in
                let drover = try await TestServer.drover(
                    directory: directory,
                    endpoint: database.endpoint(database: "faults")
                )
                let connection = try await drover.connect()
                let watch = try await WatchCollector(drover, prefix: "o/")
                try await put(connection, "o/1", "before")
                func ready() throws -> String {
                    try run(
                        find("curl")!,
                        [
                            "-s", "-m", "20", "-o", "/dev/null", "-w", "%{http_code}",
                            "http://127.0.0.1:\(drover.port)/readyz",
                        ]
                    ).output
                }
                #expect(try ready() == "200")
                database.stop()
                let begun = ContinuousClock.now
                await #expect(
                    throws: ClientError(
                        code: 14,
                        message: "etcdserver: request timed out, possibly due to connection lost"
                    )
                ) {
                    try await put(connection, "o/2", "during")
                }
                #expect(begun.duration(to: .now) < .seconds(12))
                #expect(try ready() == "503")
                // What the process itself knows is shown, and etcd's own alarm on its leader goes off.
                #expect(try drover.metric("etcd_server_has_leader") == 0)
                #expect(try drover.metric("drover_batches_total") >= 1)
                // Whoever looks is told why.
                let reason = try run(find("curl")!, ["-s", "-m", "20", "http://127.0.0.1:\(drover.port)/readyz"]).output
                #expect(reason.contains("SQL") && !reason.contains("@"), "\(reason)")
                // Checks that do not ask the database speak for themselves.
                for path in ["readyz/non_learner", "livez?exclude=serializable_read"] {
                    let url = "http://127.0.0.1:\(drover.port)/\(path)"
                    let reply = try run(find("curl")!, ["-s", "-m", "20", "-w", " %{http_code}", url]).output
                    #expect(reply.hasSuffix("ok\n 200"), "\(path): \(reply)")
                }
                await #expect(
                    throws: ClientError(
                        code: 14,
                        message: "etcdserver: request timed out, possibly due to connection lost"
                    )
                ) {
                    _ = try await get(connection, "o/1")
                }
                #expect(drover.process.isRunning)
                try database.start()
                let deadline = Date().addingTimeInterval(15)
                while try ready() != "200", Date() < deadline { usleep(100_000) }
                #expect(try ready() == "200")
                try await put(connection, "o/3", "after")
                try await watch.wait(for: 2)
                #expect(await watch.events.map { String(decoding: $0.kv.value, as: UTF8.self) } == ["before", "after"])
                #expect(drover.process.log.contains("the database is away"))
                drover.process.stop()
            }
        }

        @Test("a database that came back older than what was acknowledged is refused aloud", arguments: Engine.shared)
        func olderDatabase(engine: Engine) async throws {
            try await withServer(engine) { database, directory in
                let drover = try await TestServer.drover(
                    directory: directory,
                    endpoint: database.endpoint(database: "faults")
                )
                // One that is only read and watched finds out by itself.
                let idle = try await TestServer.drover(
                    directory: directory,
                    endpoint: database.endpoint(database: "faults"),
                    log: "idle.log"
                )
                let watch = try await WatchCollector(idle, prefix: "b/")
                let connection = try await drover.connect()
                for i in 0..<5 { try await put(connection, "a/\(i)", "1") }
                let data = "\(directory)/\(engine == .postgres ? "pg" : "my")/data"
                database.stop()
                _ = try run("/bin/cp", ["-a", data, "\(data)-old"])
                try database.start()
                for i in 0..<5 { try await put(connection, "b/\(i)", "2") }
                try await watch.wait(for: 5)
                database.stop()
                _ = try run("/bin/rm", ["-rf", data])
                _ = try run("/bin/mv", ["\(data)-old", data])
                try database.start()
                var refusal = ""
                for _ in 0..<20 {
                    do {
                        try await put(connection, "c", "3")
                        Issue.record("a revision was issued twice")
                        break
                    } catch let error as ClientError {
                        refusal = error.message
                        if refusal.contains("lost revisions") { break }
                    }
                }
                #expect(refusal.contains("lost revisions"))
                await #expect(throws: ClientError.self) { _ = try await get(connection, "a/1") }
                try await expectLost(idle, watch)
                idle.process.stop()
                // A probe that ends what is not alive must not accept the loss for its owner.
                for (path, status) in [("livez", "200"), ("readyz", "503")] {
                    let arguments = ["-s", "-m", "20", "-w", "%{http_code}", "http://127.0.0.1:\(drover.port)/\(path)"]
                    let reply = try run(find("curl")!, arguments).output
                    #expect(reply.hasSuffix(status), "\(path): \(reply)")
                }
                // Whoever restarts it accepts the loss.
                drover.process.stop()
                let again = try await TestServer.drover(
                    directory: directory,
                    endpoint: database.endpoint(database: "faults")
                )
                #expect(try await put(try await again.connect(), "d", "4") == 7)
                again.process.stop()
            }
        }

        /// Starts drover and returns what it says when it gives up.
        private func refusal(_ endpoint: String, _ directory: String) throws -> String {
            let result = try run(
                droverExecutable(),
                [
                    "serve", "--endpoint", endpoint, "--listen-address", "127.0.0.1:\(freePort())",
                    "--wait-for-database", "0",
                ]
            )
            #expect(result.status != 0)
            #expect(!(result.error + result.output).contains("secret-pw"), "a password was shown")
            return result.error
        }

        @Test("what cannot be opened says why and what to do", arguments: Engine.shared)
        func refusals(engine: Engine) async throws {
            try await withServer(engine, settings: engine == .mariadb ? [] : ["password_encryption=md5"]) {
                database,
                directory in
                let port = database.port
                let scheme = engine == .postgres ? "postgres" : "mysql"
                if engine == .postgres {
                    try database.sql("CREATE ROLE weak LOGIN PASSWORD 'weak'", database: nil)
                    try database.sql("CREATE DATABASE other", database: nil)
                    try database.sql("REVOKE CREATE ON SCHEMA public FROM PUBLIC", database: "other")
                    try database.sql("CREATE TABLE drover_meta (id int, theirs text)", database: "postgres")
                    let rules = "\(directory)/pg/data/pg_hba.conf"
                    let text = "host all weak 127.0.0.1/32 md5\n" + (try String(contentsOfFile: rules, encoding: .utf8))
                    try text.write(toFile: rules, atomically: true, encoding: .utf8)
                    try ServerUserAccess.own(rules)
                    try database.sql("SELECT pg_reload_conf()", database: nil)
                    usleep(500_000)
                } else {
                    try database.sql("CREATE USER weak@'127.0.0.1' IDENTIFIED BY 'weak'", database: nil)
                    try database.sql(
                        "CREATE DATABASE other; GRANT SELECT ON other.* TO weak@'127.0.0.1'",
                        database: nil
                    )
                    try database.sql(
                        "CREATE DATABASE theirs; CREATE TABLE theirs.drover_meta (id int, x text)",
                        database: nil
                    )
                }
                let wrong = try refusal("\(scheme)://weak:secret-pw@127.0.0.1:\(port)/other", directory)
                #expect(wrong.contains("password"), "\(wrong)")
                let missing = try refusal("\(scheme)://weak:weak@127.0.0.1:\(port)/nosuch", directory)
                #expect(missing.contains("cannot be created") || missing.contains("right"), "\(missing)")
                let weak = try refusal("\(scheme)://weak:weak@127.0.0.1:\(port)/other", directory)
                #expect(weak.contains("grant this user"), "\(weak)")
                let foreign = try refusal(
                    database.endpoint(database: engine == .postgres ? "postgres" : "theirs"),
                    directory
                )
                #expect(foreign.contains("another application"), "\(foreign)")
                // Another one of the names alone is as bad.
                try database.sql("CREATE DATABASE likewise", database: nil)
                try database.sql("CREATE TABLE drover_log (theirs int)", database: "likewise")
                let likewise = try refusal(database.endpoint(database: "likewise"), directory)
                #expect(likewise.contains("drover_log belongs to another application"), "\(likewise)")
                let nobody = try refusal("\(scheme)://u:secret-pw@127.0.0.1:1/x", directory)
                #expect(nobody.contains("is the server running"), "\(nobody)")
                let nonsense = try refusal("\(scheme)://u:secret-pw@127.0.0.1:\(port)/x?no_such_option=1", directory)
                #expect(nonsense.contains("cannot be understood"), "\(nonsense)")
            }
        }

        @Test("a server that comes up after it is waited for", arguments: Engine.shared)
        func startsLater(engine: Engine) async throws {
            try await withServer(engine) { database, directory in
                database.stop()
                let later = Task {
                    try await Task.sleep(nanoseconds: 1_500_000_000)
                    try database.start()
                }
                let drover = try await TestServer.drover(
                    directory: directory,
                    endpoint: database.endpoint(database: "faults")
                )
                try await later.value
                try await put(try await drover.connect(), "a", "1")
                #expect(drover.process.log.contains("cannot be reached yet"))
                #expect(!drover.process.log.contains("@"))
                drover.process.stop()
            }
        }

        @Test("too many connections say so", arguments: Engine.shared)
        func tooManyConnections(engine: Engine) async throws {
            let settings =
                engine == .postgres
                ? ["max_connections=12", "superuser_reserved_connections=1", "max_wal_senders=0"]
                : ["max-connections=11"]
            try await withServer(engine, settings: settings) { database, directory in
                let first = try await TestServer.drover(
                    directory: directory,
                    endpoint: database.endpoint(database: "faults")
                )
                let text = try refusal(database.endpoint(database: "faults"), directory)
                #expect(text.contains("max_connections"), "\(text)")
                // The first one is none the worse for it.
                try await put(try await first.connect(), "a", "1")
                first.process.stop()
            }
        }
    }
}

/// Files that a database server's user must be able to read.
enum ServerUserAccess {
    static func own(_ path: String) throws { _ = try run("/bin/chmod", ["644", path]) }
}
