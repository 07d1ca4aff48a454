import DroverClient
import EtcdAPI
import Foundation
import TestSupport
import Testing

/// All suites here start servers of their own; they run one after the other, since the machine has few cores.
@Suite("the whole program", .serialized, .timeLimit(.minutes(20)))
struct SystemTests {}

extension SystemTests {
    @Suite("unmodified clients")
    struct UnmodifiedClients {
        private func etcdctl(_ port: Int, _ arguments: String..., input: String? = nil) throws -> String {
            let path = environment("DROVER_TEST_ETCDCTL") ?? find("etcdctl")
            let result = try run(
                try #require(path, "there is no etcdctl; `make test` installs it"),
                ["--endpoints=127.0.0.1:\(port)"] + arguments,
                environment: ["ETCDCTL_API": "3"],
                input: input
            )
            #expect(result.status == 0, "etcdctl \(arguments): \(result.error)")
            return result.output + (arguments.contains("health") ? result.error : "")
        }

        @Test("etcdctl")
        func etcdctl() async throws {
            try await withTemporaryDirectory { directory in
                let server = try await TestServer.drover(directory: directory)
                let port = server.port
                #expect(try etcdctl(port, "put", "foo", "bar") == "OK\n")
                #expect(try etcdctl(port, "get", "foo") == "foo\nbar\n")
                #expect(try etcdctl(port, "put", "foo", "baz", "--prev-kv") == "OK\nfoo\nbar\n")
                #expect(try etcdctl(port, "get", "foo", "--rev=2", "--print-value-only") == "bar\n")
                #expect(try etcdctl(port, "get", "", "--prefix", "--write-out=fields").contains("\"Count\" : 1"))
                let txn = "mod(\"foo\") = \"3\"\n\nput foo txn\nget foo\n\nput foo no\n\n"
                #expect(try etcdctl(port, "txn", "-i", input: txn).contains("foo\ntxn"))
                let lease = try etcdctl(port, "lease", "grant", "60").split(separator: " ")[1]
                #expect(try etcdctl(port, "put", "leased", "1", "--lease=\(lease)") == "OK\n")
                #expect(try etcdctl(port, "lease", "timetolive", String(lease), "--keys").contains("[leased]"))
                #expect(try etcdctl(port, "lease", "list").contains(lease))
                #expect(try etcdctl(port, "lease", "keep-alive", "--once", String(lease)).contains("keepalived"))
                #expect(try etcdctl(port, "lease", "revoke", String(lease)).contains("revoked"))
                #expect(try etcdctl(port, "get", "leased") == "")
                #expect(try etcdctl(port, "compaction", "3").contains("compacted revision 3"))
                #expect(try etcdctl(port, "endpoint", "health").contains("is healthy"))
                #expect(try etcdctl(port, "endpoint", "status", "--write-out=table").contains("3.6"))
                #expect(try etcdctl(port, "member", "list").contains("started, drover"))
                #expect(try etcdctl(port, "del", "foo", "--prev-kv") == "1\nfoo\ntxn\n")

                let watch = try ChildProcess(
                    environment("DROVER_TEST_ETCDCTL") ?? find("etcdctl")!,
                    ["--endpoints=127.0.0.1:\(port)", "watch", "w/", "--prefix", "--prev-kv"],
                    environment: ["ETCDCTL_API": "3"],
                    log: "\(directory)/watch.log"
                )
                try await wait(20) { try server.metric("etcd_debugging_mvcc_watcher_total") == 1 }
                for i in 0..<50 { _ = try etcdctl(port, "put", "w/\(i % 5)", "value \(i)") }
                let deadline = Date().addingTimeInterval(10)
                while !watch.log.contains("value 49"), Date() < deadline { usleep(20_000) }
                watch.stop()
                let values = watch.log.split(separator: "\n").filter { $0.hasPrefix("value") }
                // Each value once as the new one, and all but the last of each key once as the previous one.
                #expect(values.count == 95)
                server.process.stop()
                #expect(server.process.log.contains("stopped"))
            }
        }

        @Test("a watch that lives through thousands of calls on its connection")
        func longWatch() async throws {
            try await withTemporaryDirectory { directory in
                let server = try await TestServer.drover(directory: directory)
                let watch = try ChildProcess(
                    environment("DROVER_TEST_ETCDCTL") ?? find("etcdctl")!,
                    ["--endpoints=127.0.0.1:\(server.port)", "watch", "l/", "--prefix"],
                    environment: ["ETCDCTL_API": "3"],
                    log: "\(directory)/watch.log"
                )
                try await wait(20) { try server.metric("etcd_debugging_mvcc_watcher_total") == 1 }
                let connection = try await server.connect()
                let count = 8_000
                try await withThrowingTaskGroup(of: Void.self) { group in
                    for lane in 0..<20 {
                        group.addTask {
                            for i in 0..<(count / 20) {
                                var put = PBPutRequest()
                                put.key = Data("l/\(lane)/\(i)".utf8)
                                put.value = Data("x".utf8)
                                let _: PBPutResponse = try await connection.unary("/etcdserverpb.KV/Put", put)
                            }
                        }
                    }
                    try await group.waitForAll()
                }
                let deadline = Date().addingTimeInterval(20)
                func events() -> Int { watch.log.split(separator: "\n").filter { $0 == "PUT" }.count }
                while events() < count, Date() < deadline { usleep(50_000) }
                #expect(events() == count)
                #expect(watch.isRunning)
                watch.stop()
                await connection.close()
                server.process.stop()
            }
        }

        private func source(_ name: String) -> String {
            URL(fileURLWithPath: #filePath).deletingLastPathComponent().deletingLastPathComponent()
                .appendingPathComponent("Clients/\(name)").path
        }

        @Test("gRPC's C core: a watch, thousands of calls and cancellations on one channel")
        func grpcCore() async throws {
            try await withTemporaryDirectory { directory in
                let server = try await TestServer.drover(directory: directory)
                // Debian's Python is the one that Debian's package is for.
                let result = try run("/usr/bin/python3", [source("grpc_core.py"), "127.0.0.1:\(server.port)", "8000"])
                #expect(result.output == "events 8000 answered 8000 cancelled 2000\n", "\(result.error)")
                server.process.stop()
            }
        }

        @Test("messages in gzip are read, and answered in gzip")
        func gzip() async throws {
            try await withTemporaryDirectory { directory in
                let server = try await TestServer.drover(directory: directory)
                let result = try run("/usr/bin/python3", [source("grpc_gzip.py"), "127.0.0.1:\(server.port)"])
                #expect(result.output == "back True small True large True\n", "\(result.error)")
                server.process.stop()
            }
        }

        @Test("grpc-java: a watch, thousands of calls and cancellations on one channel")
        func grpcJava() async throws {
            // A Java kit is large: `make test-all` installs one, `make test` uses the one that is there.
            guard let compiler = find("javac"), let java = find("java"),
                access("/usr/share/java/grpc-netty.jar", R_OK) == 0
            else {
                print("grpc-java is not on this machine; make test-all installs it")
                return
            }
            try await withTemporaryDirectory { directory in
                let server = try await TestServer.drover(directory: directory)
                let path = "/usr/share/java/*:\(directory)"
                let compiled = try run(compiler, ["-cp", path, "-d", directory, source("GrpcJava.java")])
                #expect(compiled.status == 0, "\(compiled.error)")
                let result = try run(java, ["-cp", path, "GrpcJava", "127.0.0.1", "\(server.port)", "8000"])
                #expect(result.output == "events 8000 answered 8000 cancelled 2000\n", "\(result.error)")
                server.process.stop()
            }
        }

        @Test("curl, over both versions of HTTP")
        func curl() async throws {
            try await withTemporaryDirectory { directory in
                let server = try await TestServer.drover(directory: directory)
                let base = "http://127.0.0.1:\(server.port)"
                let curl = try #require(find("curl"), "there is no curl; `make test` installs it")
                for version in ["--http1.1", "--http2-prior-knowledge"] {
                    func ask(_ path: String, _ body: String? = nil) throws -> String {
                        var arguments = ["-sS", "-m", "10", version, base + path]
                        if let body { arguments += ["-d", body] }
                        return try run(curl, arguments).output
                    }
                    let put = try ask("/v3/kv/put", #"{"key":"Zm9v","value":"YmFy"}"#)
                    #expect(put.contains("\"revision\":\""))
                    let range = try ask("/v3/kv/range", #"{"key":"Zm9v","unknown_field":[1,{}]}"#)
                    #expect(range.contains(#""key":"Zm9v""#) && range.contains(#""value":"YmFy""#))
                    #expect(range.contains(#""count":"1""#) && range.contains(#""mod_revision":"#))
                    let error = try ask("/v3/kv/range", "{}")
                    #expect(error.contains(#""message":"etcdserver: key is not provided""#))
                    #expect(error.contains(#""code":3"#))
                    #expect(try ask("/v3/kv/range", "{nonsense").contains(#""code":3"#))
                    let lease = try ask("/v3/lease/grant", #"{"TTL":"60","ID":"0"}"#)
                    #expect(lease.contains(#""TTL":"60""#))
                    #expect(try ask("/v3/lease/leases", "{}").contains("leases"))
                    #expect(try ask("/v3/kv/lease/timetolive", #"{"ID":"1"}"#).contains(#""TTL":"-1""#))
                    #expect(try ask("/v3/maintenance/status", "").contains(#""version":"3.6"#))
                    #expect(try ask("/v3/cluster/member/list", "{}").contains("clientURLs"))
                    #expect(try ask("/health") == #"{"health":"true","reason":""}"#)
                    #expect(try ask("/readyz?verbose").contains("[+]linearizable_read ok"))
                    #expect(try ask("/version").contains(#""etcdserver":"3.6"#))
                    #expect(try ask("/metrics").contains("etcd_mvcc_put_total "))
                    #expect(try ask("/nowhere").contains("404"))
                    let watch = try run(
                        curl,
                        [
                            "-sS", "-m", "3", version, base + "/v3/watch", "-d",
                            #"{"create_request":{"key":"Zm9v","start_revision":"2"}}"#,
                        ]
                    )
                    #expect(watch.output.hasPrefix(#"{"result":{"#) && watch.output.contains(#""created":true"#))
                    #expect(watch.output.contains(#""events":["#))
                }
                server.process.stop()
            }
        }
    }
}
