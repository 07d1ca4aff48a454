import DroverClient
import EtcdAPI
import Foundation
import TestSupport
import Testing

extension SystemTests {
    /// What a database server may be like, and what may happen to a batch on it.
    @Suite("conditions of the database server")
    struct DatabaseConditions {
        /// A server with settings of its own.
        func withServer(
            _ engine: Engine,
            settings: [String] = [],
            environment: [String] = [],
            _ body: (any DatabaseServer, String) async throws -> Void
        ) async throws {
            try await withTemporaryDirectory { directory in
                // The server's user must reach its directory.
                chmod(directory, 0o755)
                let server: any DatabaseServer =
                    engine == .postgres
                    ? try PostgreSQLServer(directory: "\(directory)/pg", settings: settings)
                    : try MariaDBServer(directory: "\(directory)/my", settings: settings, environment: environment)
                try server.start()
                defer { server.kill() }
                try await body(server, directory)
            }
        }

        private func through(_ proxy: CuttingProxy, _ database: any DatabaseServer) -> String {
            database.endpoint(database: "faults").replacingOccurrences(
                of: ":\(database.port)/",
                with: ":\(proxy.port)/"
            )
        }

        /// What the client says on the wire when it commits, and when it begins to.
        private func marks(_ engine: Engine) -> (commit: String, fence: String) {
            engine == .postgres ? ("d_commit", "d_fence") : ("COMMIT", "SET batch = CASE")
        }

        @Test("the answer to COMMIT is lost: the write is there, once, and acknowledged", arguments: Engine.shared)
        func lostAcknowledgement(engine: Engine) async throws {
            try await withServer(engine) { database, directory in
                let proxy = try await CuttingProxy(to: database.port, engine)
                let drover = try await TestServer.drover(directory: directory, endpoint: through(proxy, database))
                let connection = try await drover.connect()
                var outcomes: [String: WriteOutcome] = [:]
                for i in 0..<30 {
                    proxy.when(marks(engine).commit, .cutAnswer)
                    outcomes["c/\(i)"] = await WriteOutcome.of(connection, "c/\(i)")
                    // A batch whose outcome was asked for and found is answered, not left open.
                    #expect(outcomes["c/\(i)"]!.isAcknowledged)
                }
                #expect(proxy.cuts >= 28, "\(proxy.cuts) answers to a COMMIT were lost")
                #expect(drover.process.log.contains("the outcome of a commit is unknown"))
                try await WriteOutcome.verify(connection, outcomes)
                drover.process.stop()
                await proxy.close()
            }
        }

        @Test("packets lost between lock and commit hold another instance up for at most 5 s", arguments: Engine.shared)
        func lostPackets(engine: Engine) async throws {
            var taken = try await holdUp(engine)
            // A machine under load may stop the other instance, too: once more, then.
            if taken > .seconds(5) { taken = try await holdUp(engine) }
            #expect(taken > .milliseconds(500) && taken <= .seconds(5))
        }

        /// How long an instance waited for another whose packets were lost while it wrote.
        private func holdUp(_ engine: Engine) async throws -> Duration {
            var taken = Duration.zero
            try await withServer(engine) { database, directory in
                let proxy = try await CuttingProxy(to: database.port, engine)
                let behind = try await TestServer.drover(directory: directory, endpoint: through(proxy, database))
                let direct = try await TestServer.drover(
                    directory: directory,
                    endpoint: database.endpoint(database: "faults"),
                    log: "direct.log"
                )
                let (one, two) = (try await behind.connect(), try await direct.connect())
                try await put(one, "a", "0")
                proxy.when(marks(engine).fence, .lose)
                let lost = Task { await WriteOutcome.of(one, "lost") }
                while proxy.lost == 0 { try await Task.sleep(nanoseconds: 1_000_000) }
                let begun = ContinuousClock.now
                let second = try await put(two, "b", "1")
                taken = begun.duration(to: .now)
                print("\(engine): packets lost in a batch held another instance up for \(taken)")
                // Its batch was refused: it comes again over another connection, or is told to have timed out.
                let outcome = await lost.value
                let there = try await get(two, "lost").kvs
                if outcome.isAcknowledged { #expect(there.count == 1) }
                #expect(there.allSatisfy { $0.version == 1 && $0.modRevision != second })
                // Whoever waited for the lock has it first, unless a slow machine had them ask anew at the same moment.
                if taken <= .seconds(5) { #expect(there.allSatisfy { $0.modRevision > second }) }
                try await put(one, "c", "2")
                behind.process.stop()
                direct.process.stop()
                await proxy.close()
            }
            return taken
        }

        @Test(
            "a write is two flights, a point read one; an instance takes at most ten connections",
            arguments: Engine.shared
        )
        func roundTrips(engine: Engine) async throws {
            let durable = engine == .postgres ? ["fsync=on"] : ["innodb-flush-log-at-trx-commit=1"]
            // MariaDB no longer counts its syncs, so they are counted for it.
            let counter = engine == .mariadb ? try SyncCounter() : nil
            try await withServer(engine, settings: durable, environment: counter?.environment ?? []) {
                database,
                directory in
                let proxy = try await CuttingProxy(to: database.port, engine)
                let drover = try await TestServer.drover(directory: directory, endpoint: through(proxy, database))
                let connection = try await drover.connect()
                try await put(connection, "a", "0")
                /// Flights that the connections have sent meanwhile, those with the most first, and the seconds it took.
                func flights(_ body: () async throws -> Void) async throws -> (sent: [Int], seconds: Int) {
                    let before = proxy.sent
                    let begun = ContinuousClock.now
                    try await body()
                    let taken = begun.duration(to: .now).components.seconds
                    return (proxy.sent.map { $0.value - (before[$0.key] ?? 0) }.sorted(by: >), Int(taken))
                }
                func syncs() throws -> Int {
                    if let counter { return counter.count }
                    let text = try database.sql("SELECT wal_sync FROM pg_stat_wal", database: nil)
                    return Int(text.trimmingCharacters(in: .whitespacesAndNewlines)) ?? -1
                }
                let syncsBefore = try syncs()
                let (writes, taken) = try await flights { for i in 0..<200 { try await put(connection, "a", "\(i)") } }
                // The committer looks for company now and then.
                #expect((400...410 + 2 * taken).contains(writes[0]), "200 puts took \(writes) flights")
                // One sync each; the link's heartbeats have theirs. PostgreSQL's session tells its figures when it has been
                // idle for ten seconds.
                var synced = try syncs() - syncsBefore
                for _ in 0..<60 where synced < 200 {
                    try await Task.sleep(nanoseconds: 250_000_000)
                    synced = try syncs() - syncsBefore
                }
                #expect((200...245 + 3 * taken).contains(synced), "200 puts took \(synced) syncs")
                // As many for many keys. PostgreSQL's go in parts of 4 KiB, four of such a batch, and it may answer one before
                // the next has gone.
                let (wide, _) = try await flights {
                    for i in 0..<20 {
                        var request = PBTxnRequest()
                        request.success = (0..<60).map { key in
                            var operation = PBRequestOp()
                            operation.requestPut.key = Data("w/\(key)".utf8)
                            operation.requestPut.value = Data("\(i)".utf8)
                            return operation
                        }
                        let _: PBTxnResponse = try await connection.unary("/etcdserverpb.KV/Txn", request)
                    }
                }
                print("\(engine): 20 transactions of 60 puts took \(wide[0]) flights")
                #expect(
                    (40...(engine == .postgres ? 105 : 60)).contains(wide[0]),
                    "20 transactions of 60 puts took \(wide) flights"
                )
                let (reads, _) = try await flights { for _ in 0..<400 { _ = try await get(connection, "a") } }
                // Two connections share them; the link has its own.
                #expect((395...410).contains(reads[0] + reads[1]), "400 point reads took \(reads) flights")
                try await withThrowingTaskGroup(of: Void.self) { group in
                    for lane in 0..<50 {
                        group.addTask {
                            for i in 0..<20 {
                                try await put(connection, "l/\(lane)", "\(i)")
                                _ = try await get(connection, "l/\(lane)")
                                var list = PBRangeRequest()
                                list.key = Data("l/".utf8)
                                list.rangeEnd = Data("l0".utf8)
                                let _: PBRangeResponse = try await connection.unary("/etcdserverpb.KV/Range", list)
                            }
                        }
                    }
                    try await group.waitForAll()
                }
                let connections = try database.sql(
                    engine == .postgres
                        ? "SELECT count(*) FROM pg_stat_activity WHERE datname = 'faults' AND pid <> pg_backend_pid()"
                        : "SELECT count(*) FROM information_schema.processlist WHERE db = 'faults'",
                    database: nil
                ).trimmingCharacters(in: .whitespacesAndNewlines)
                #expect(try #require(Int(connections)) <= 10, "\(connections) connections")
                drover.process.stop()
                await proxy.close()
            }
        }

        /// A notification is a hint alone: a pooler, a network or a failover may lose it.
        @Test(
            "PostgreSQL's notifications are lost: watches are told of what another instance commits all the same",
            .enabled(if: Engine.selected.contains(.postgres))
        )
        func lostNotifications() async throws {
            try await withServer(.postgres) { database, directory in
                let proxy = try await CuttingProxy(to: database.port, .postgres)
                proxy.loseNotifications()
                let deaf = try await TestServer.drover(directory: directory, endpoint: through(proxy, database))
                let other = try await TestServer.drover(
                    directory: directory,
                    endpoint: database.endpoint(database: "faults"),
                    log: "other.log"
                )
                let watch = try await WatchCollector(deaf, prefix: "n/")
                let (near, far) = (try await deaf.connect(), try await other.connect())
                var last: Int64 = 1
                // Each is told of before the next is put; nobody is notified until company is known, in two seconds or so.
                try await wait(60) {
                    last = try await put(far, "n/alone", "\(last)")
                    try await watch.wait(for: Int(last - 1))
                    return proxy.notificationsLost >= 30
                }
                // Many at once, through both.
                try await withThrowingTaskGroup(of: Void.self) { group in
                    for (name, connection) in [("near", near), ("far", far)] {
                        for lane in 0..<5 {
                            group.addTask { for i in 0..<40 { try await put(connection, "n/\(name)/\(lane)", "\(i)") } }
                        }
                    }
                    try await group.waitForAll()
                }
                last += 2 * 5 * 40
                try await watch.wait(for: Int(last - 1))
                let strays = await watch.strays(2...last)
                #expect(strays.isEmpty, "\(strays.prefix(5))")
                #expect(try await get(near, "n/alone").header.revision == last)
                deaf.process.stop()
                other.process.stop()
                await proxy.close()
            }
        }

        /// The key's literal in the engine's SQL.
        private func literal(_ engine: Engine, _ key: String) -> String {
            let hexadecimal = key.utf8.map { String($0, radix: 16) }.joined()
            return engine == .postgres ? "'\\x\(hexadecimal)'" : "x'\(hexadecimal)'"
        }

        /// Batches that had to be tried again.
        func conflicts(_ drover: TestServer) throws -> Double {
            let page = try run(find("curl")!, ["-sS", "http://127.0.0.1:\(drover.port)/metrics"]).output
            let line = page.split(separator: "\n").first { $0.hasPrefix("drover_batch_conflicts_total ") }
            return line.flatMap { Double($0.split(separator: " ")[1]) } ?? -1
        }

        @Test("a deadlock is tried again, and a lock that is held for long is waited for", arguments: Engine.shared)
        func conflicts(engine: Engine) async throws {
            try await withServer(engine) { database, directory in
                let drover = try await TestServer.drover(
                    directory: directory,
                    endpoint: database.endpoint(database: "faults")
                )
                let connection = try await drover.connect()
                try await put(connection, "k", "0")
                let column = engine == .postgres ? "key" : "k"
                let sleep = engine == .postgres ? "SELECT pg_sleep" : "SELECT SLEEP"
                // Heavier than a batch, so that InnoDB rolls the batch back.
                let weight =
                    engine == .postgres
                    ? "" : "INSERT INTO scratch SELECT seq FROM seq_1_to_20000;"
                if engine == .mariadb { try database.sql("CREATE TABLE scratch (i INT)", database: "faults") }
                var victims = 0.0
                for round in 1...4 where victims == 0 {
                    let before = try conflicts(drover)
                    // Another application takes the key's row, then the counter's; a batch the other way round.
                    let other = Task.detached {
                        try database.sql(
                            "BEGIN; \(weight) SELECT 1 FROM drover_current WHERE \(column) = \(literal(engine, "k")) FOR UPDATE; \(sleep)(1.5); SELECT 1 FROM drover_meta WHERE id = 1 FOR UPDATE; COMMIT",
                            database: "faults"
                        )
                    }
                    try await wait(10) {
                        try database.sql(
                            "SELECT 1 FROM drover_current WHERE \(column) = \(literal(engine, "k")) FOR UPDATE SKIP LOCKED",
                            database: "faults"
                        )
                        .isEmpty
                    }
                    let revision = try await put(connection, "k", "\(round)")
                    #expect(revision == Int64(round + 2))
                    _ = try? await other.value
                    victims = try conflicts(drover) - before
                }
                #expect(victims >= 1, "no batch was the victim of a deadlock")
                let kv = try await get(connection, "k").kvs[0]
                #expect(kv.version == kv.modRevision - 1)
                // A lock held for longer than a statement waits for one: the call waits as long as etcd's would.
                let holder = Task.detached {
                    try database.sql(
                        "BEGIN; SELECT 1 FROM drover_meta WHERE id = 1 FOR UPDATE; \(sleep)(12); COMMIT",
                        database: "faults"
                    )
                }
                try await wait(10) {
                    try database.sql(
                        "SELECT id FROM drover_meta WHERE id = 1 FOR UPDATE SKIP LOCKED",
                        database: "faults"
                    )
                    .isEmpty
                }
                let begun = ContinuousClock.now
                await #expect(throws: ClientError(code: 14, message: "etcdserver: request timed out")) {
                    try await put(connection, "held", "1")
                }
                #expect(begun.duration(to: .now) > .seconds(6.5) && begun.duration(to: .now) < .seconds(10))
                _ = try await holder.value
                #expect(try await get(connection, "held").kvs.isEmpty)
                #expect(try await put(connection, "held", "2") == kv.modRevision + 1)
                drover.process.stop()
            }
        }

        @Test(
            "MariaDB takes small queries only: batches are divided, what cannot be is refused by itself",
            .enabled(if: Engine.selected.contains(.mariadb))
        )
        func smallPackets() async throws {
            try await withServer(.mariadb, settings: ["max-allowed-packet=1M"]) { database, directory in
                let drover = try await TestServer.drover(
                    directory: directory,
                    endpoint: database.endpoint(database: "faults")
                )
                let connection = try await drover.connect()
                var txn = PBTxnRequest()
                for i in 0..<100 {
                    var operation = PBRequestOp()
                    operation.requestPut.key = Data("p/\(i)".utf8)
                    operation.requestPut.value = Data(repeating: UInt8(i), count: 14_000)
                    txn.success.append(operation)
                }
                let reply: PBTxnResponse = try await connection.unary("/etcdserverpb.KV/Txn", txn)
                #expect(reply.header.revision == 2)
                #expect(try await get(connection, "p/77").kvs[0].value == Data(repeating: 77, count: 14_000))
                // Many calls in one batch, among them one that no query can hold.
                try await withThrowingTaskGroup(of: Void.self) { group in
                    for i in 0..<200 {
                        group.addTask {
                            var put = PBPutRequest()
                            put.key = Data("q/\(i)".utf8)
                            put.value = Data(repeating: 0x27, count: i == 100 ? 1_100_000 : 12_000)
                            do {
                                let _: PBPutResponse = try await connection.unary("/etcdserverpb.KV/Put", put)
                                #expect(i != 100)
                            } catch let error as ClientError {
                                #expect(i == 100 && error.message.contains("max_allowed_packet"), "\(error.message)")
                            }
                        }
                    }
                    try await group.waitForAll()
                }
                var count = PBRangeRequest()
                count.key = Data("q/".utf8)
                count.rangeEnd = Data("q0".utf8)
                count.countOnly = true
                let counted: PBRangeResponse = try await connection.unary("/etcdserverpb.KV/Range", count)
                #expect(counted.count == 199)
                // Reads that wait together, whose keys do not fit one query.
                try await withThrowingTaskGroup(of: Void.self) { group in
                    for i in 0..<1_500 {
                        group.addTask {
                            let range = PBRangeRequest.with {
                                $0.key = Data("\(i)".utf8) + Data(repeating: 0x27, count: 2_000)
                            }
                            let none: PBRangeResponse = try await connection.unary("/etcdserverpb.KV/Range", range)
                            #expect(none.count == 0)
                        }
                    }
                    try await group.waitForAll()
                }
                drover.process.stop()
            }
        }

        @Test(
            "settings that let the server forget are warned of by name, and safe ones are not",
            arguments: Engine.shared
        )
        func durability(engine: Engine) async throws {
            let (names, remedy) =
                engine == .postgres
                ? (["fsync", "synchronous_commit"], "turn it on")
                : (["innodb_flush_log_at_trx_commit", "innodb_doublewrite", "sync_binlog"], "set this variable to 1")
            let flushed = "innodb-flush-log-at-trx-commit=1"
            let cases: [(settings: [String], warned: [String])] =
                engine == .postgres
                ? [(["fsync=off", "synchronous_commit=off"], names), (["fsync=on", "synchronous_commit=on"], [])]
                : [
                    (
                        ["innodb-flush-log-at-trx-commit=2", "innodb-doublewrite=0", "log-bin=log", "sync-binlog=7"],
                        names
                    ),
                    ([flushed, "log-bin=log", "sync-binlog=0"], ["sync_binlog"]),
                    ([flushed, "log-bin=log", "sync-binlog=1"], []),
                    // Without a binary log nothing hangs on it.
                    ([flushed, "sync-binlog=0"], []),
                ]
            for (settings, warned) in cases {
                try await withServer(engine, settings: settings) { database, directory in
                    let drover = try await TestServer.drover(
                        directory: directory,
                        endpoint: database.endpoint(database: "faults")
                    )
                    try await put(try await drover.connect(), "a", "1")
                    drover.process.stop()
                    let log = drover.process.log
                    let warnings = log.split(separator: "\n").filter { $0.contains(" warning ") }
                    for name in names {
                        let said = warnings.filter { $0.contains(name) }
                        #expect(said.isEmpty != warned.contains(name), "\(settings), \(name): \(log)")
                        #expect(said.allSatisfy { $0.contains(remedy) }, "\(said)")
                    }
                }
            }
        }
    }
}
