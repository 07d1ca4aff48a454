import DroverClient
import EtcdAPI
import Foundation
import TestSupport
import Testing

extension SystemTests {
    /// Servers whose defaults were made for other applications.
    @Suite("database servers with unusual defaults")
    struct UnusualServers {
        /// What any store must do, through `server`, whatever its database's defaults are.
        private func expectWorks(_ server: TestServer) async throws {
            let connection = try await server.connect()
            let watch = try await WatchCollector(server, prefix: "u/")
            // Bytes that mean something in strings of SQL, in some character set or other.
            let awkward = Data([0x00, 0x27, 0x5c, 0x22, 0xbf, 0x5c, 0x27, 0x0a, 0x1a, 0xff, 0x80, 0x20, 0x20])
            try await withThrowingTaskGroup(of: Void.self) { group in
                for lane in 0..<8 {
                    group.addTask {
                        for i in 0..<10 {
                            var request = PBPutRequest()
                            request.key = Data("u/\(lane)/\(i)/".utf8) + awkward
                            request.value = awkward + Data("\(i)".utf8)
                            let _: PBPutResponse = try await connection.unary("/etcdserverpb.KV/Put", request)
                        }
                    }
                }
                try await group.waitForAll()
            }
            var page = PBRangeRequest()
            page.key = Data("u/".utf8)
            page.rangeEnd = Data("u0".utf8)
            page.limit = 7
            let reply: PBRangeResponse = try await connection.unary("/etcdserverpb.KV/Range", page)
            #expect(reply.count == 80 && reply.kvs.count == 7 && reply.more)
            #expect(reply.kvs.map(\.key) == (0..<7).map { Data("u/0/\($0)/".utf8) + awkward })
            #expect(reply.kvs.map(\.value) == (0..<7).map { awkward + Data("\($0)".utf8) })
            // Keys that differ in case, and in blanks at their end.
            for key in ["u/case", "u/CASE", "u/case ", "u/\u{e9}", "u/e"] { try await put(connection, key, key) }
            for key in ["u/case", "u/CASE", "u/case ", "u/\u{e9}", "u/e"] {
                let kvs = try await get(connection, key).kvs
                #expect(kvs.count == 1 && kvs.first?.value == Data(key.utf8) && kvs.first?.version == 1)
            }
            var delete = PBDeleteRangeRequest()
            delete.key = Data("u/0/".utf8)
            delete.rangeEnd = Data("u/00".utf8)
            delete.prevKv = true
            let deleted: PBDeleteRangeResponse = try await connection.unary("/etcdserverpb.KV/DeleteRange", delete)
            #expect(deleted.deleted == 10 && deleted.prevKvs.count == 10)
            // For longer than such a server lets a session be idle.
            try await Task.sleep(for: .seconds(3))
            var grant = PBLeaseGrantRequest()
            grant.ttl = 2
            let lease: PBLeaseGrantResponse = try await connection.unary("/etcdserverpb.Lease/LeaseGrant", grant)
            let last = try await put(connection, "u/lease", "", lease: lease.id)
            var compact = PBCompactionRequest()
            compact.revision = last
            compact.physical = true
            let _: PBCompactionResponse = try await connection.unary("/etcdserverpb.KV/Compact", compact)
            try await watch.wait(for: 80 + 5 + 10 + 2)
            #expect(await watch.events.last?.type == .delete)
            #expect(try await get(connection, "u/lease").kvs.isEmpty)
        }

        private func expectWorks(on server: any DatabaseServer, _ directory: String, _ endpoint: String) async throws {
            let servers = [
                try await TestServer.drover(directory: directory, endpoint: endpoint, log: "one.log"),
                try await TestServer.drover(directory: directory, endpoint: endpoint, log: "two.log"),
            ]
            try await expectWorks(servers[1])
            for server in servers {
                #expect(!server.process.log.contains("ERROR") && !server.process.log.contains(" error "))
                server.process.stop()
            }
        }

        @Test("PostgreSQL", .enabled(if: Engine.selected.contains(.postgres)))
        func postgreSQL() async throws {
            try await withTemporaryDirectory { directory in
                chmod(directory, 0o755)
                let server = try PostgreSQLServer(
                    directory: "\(directory)/pg",
                    settings: [
                        "default_transaction_isolation=serializable", "default_transaction_deferrable=on",
                        "statement_timeout=300ms", "lock_timeout=5ms", "idle_in_transaction_session_timeout=20ms",
                        "idle_session_timeout=1500ms", "bytea_output=escape", "standard_conforming_strings=off",
                        "backslash_quote=on", "escape_string_warning=on", "DateStyle=German",
                        "IntervalStyle=sql_standard",
                        "TimeZone=Asia/Kathmandu", "extra_float_digits=-15", "array_nulls=off",
                        "transform_null_equals=on", "enable_indexscan=off", "enable_indexonlyscan=off",
                        "plan_cache_mode=force_custom_plan", "search_path=nowhere,public", "client_min_messages=debug1",
                        "client_encoding=LATIN1", "synchronous_commit=off", "jit_above_cost=0", "row_security=off",
                        "default_toast_compression=pglz", "vacuum_freeze_min_age=0",
                    ]
                )
                try server.start()
                defer { server.kill() }
                try await expectWorks(on: server, directory, server.endpoint(database: "unusual"))
                // A database of one byte a character, and a role's own defaults.
                // A slow disk takes longer for it than this server lets a statement take.
                var isMade = false
                for _ in 0..<20 where !isMade {
                    isMade =
                        (try? server.sql(
                            "CREATE DATABASE latin ENCODING 'LATIN1' LOCALE 'C' TEMPLATE template0",
                            database: nil
                        )) != nil
                }
                #expect(isMade)
                try server.sql(
                    "CREATE ROLE app LOGIN; ALTER ROLE app SET default_transaction_isolation = 'repeatable read'; ALTER ROLE app SET statement_timeout = '100ms'",
                    database: nil
                )
                try server.sql("GRANT ALL ON SCHEMA public TO app", database: "latin")
                try await expectWorks(
                    on: server,
                    directory,
                    "postgres://app@127.0.0.1:\(server.port)/latin?sslmode=disable"
                )
            }
        }

        @Test("MariaDB", .enabled(if: Engine.selected.contains(.mariadb)))
        func mariaDB() async throws {
            try await withTemporaryDirectory { directory in
                chmod(directory, 0o755)
                let server = try MariaDBServer(
                    directory: "\(directory)/my",
                    settings: [
                        "sql-mode=ANSI,NO_BACKSLASH_ESCAPES,PAD_CHAR_TO_FULL_LENGTH,IGNORE_SPACE,NO_ZERO_DATE",
                        "transaction-isolation=SERIALIZABLE", "autocommit=0", "character-set-server=utf16",
                        "collation-server=utf16_unicode_ci", "init-connect=SET NAMES gbk",
                        "default-storage-engine=Aria",
                        "lower-case-table-names=1", "max-statement-time=0.3", "innodb-lock-wait-timeout=1",
                        "lock-wait-timeout=1", "wait-timeout=2", "net-read-timeout=2", "net-write-timeout=2",
                        "max-sort-length=8", "group-concat-max-len=4", "max-recursive-iterations=10",
                        "default-time-zone=+05:45", "explicit-defaults-for-timestamp=0",
                        "optimizer-use-condition-selectivity=1",
                        "innodb-snapshot-isolation=ON", "query-cache-type=1", "query-cache-size=8M",
                        "completion-type=CHAIN",
                        "old-mode=ZERO_DATE_TIME_CAST",
                    ]
                )
                try server.start()
                defer { server.kill() }
                // `init_connect` is for users without the right to everything.
                try server.sql(
                    "CREATE USER app@'127.0.0.1' IDENTIFIED BY 'pw'; GRANT ALL ON unusual.* TO app@'127.0.0.1'",
                    database: nil
                )
                try await expectWorks(
                    on: server,
                    directory,
                    "mysql://app:pw@127.0.0.1:\(server.port)/unusual"
                )
                // Old columns and rows of another character set are the database's, not ours.
                try server.sql("CREATE DATABASE sjis CHARACTER SET sjis COLLATE sjis_japanese_ci", database: nil)
                try await expectWorks(on: server, directory, server.endpoint(database: "sjis"))
                let engines = try server.sql(
                    "SELECT DISTINCT engine FROM information_schema.tables WHERE table_name LIKE 'drover%'",
                    database: nil
                )
                #expect(engines.trimmingCharacters(in: .whitespacesAndNewlines) == "InnoDB")
            }
        }
    }
}
