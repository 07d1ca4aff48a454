import DroverClient
import EtcdAPI
import Foundation
import TestSupport
import Testing

extension SystemTests {
    @Suite("the command line")
    struct CommandLineOfDrover {
        @Test("versions")
        func versions() throws {
            for arguments in [["version"], ["--version"]] {
                let result = try run(droverExecutable(), arguments)
                #expect(result.status == 0)
                #expect(result.output.contains("drover 0.") && result.output.contains("etcd API: answers as etcd 3.6"))
            }
        }

        @Test(
            "bad flags say what is wrong",
            arguments: [
                (["serve", "--endpoint", "nosuch://x"], "known schemes"),
                (["serve", "--listen-address", "nowhere"], "HOST:PORT"),
                (["serve", "--listen-address", "127.0.0.1:99999"], "HOST:PORT"),
                (["serve", "--watch-progress-notify-interval", "soon"], "duration"),
                (["serve", "--max-txn-ops", "0"], "at least 1"),
                (["serve", "--emulated-etcd-version", "new"], "three numbers"),
                (["serve", "--log-level", "loud"], "trace, debug"),
                (["serve", "--no-such-flag"], "Unknown option"),
                (["serve", "--cert-file", "c", "--key-file", "k"], "--server-cert-file"),
                (["serve", "--auto-compaction-retention", "1h", "--compact-interval", "5m"], "two policies"),
                (["serve", "--client-cert-auth=true"], "need --server-cert-file"),
            ]
        )
        func badFlags(arguments: [String], text: String) throws {
            let result = try run(droverExecutable(), arguments)
            #expect(result.status != 0)
            #expect(result.error.contains(text), "\(result.error)")
        }

        @Test("an address in use, and a socket's path with a file on it")
        func addressInUse() async throws {
            try await withTemporaryDirectory { directory in
                let server = try await TestServer.drover(directory: directory)
                let other = try run(
                    droverExecutable(),
                    [
                        "serve", "--endpoint", "sqlite://\(directory)/b.db", "--listen-address",
                        "127.0.0.1:\(server.port)",
                    ]
                )
                #expect(other.status != 0 && other.error.contains("another process listens there"), "\(other.error)")
                server.process.stop()
                try "mine".write(toFile: "\(directory)/file", atomically: true, encoding: .utf8)
                let file = try run(
                    droverExecutable(),
                    [
                        "serve", "--endpoint", "sqlite://\(directory)/c.db", "--listen-address",
                        "unix://\(directory)/file",
                    ]
                )
                #expect(file.status != 0 && file.error.contains("there is a file"), "\(file.error)")
                #expect(try String(contentsOfFile: "\(directory)/file", encoding: .utf8) == "mine")
            }
        }

        @Test("a unix socket, kine's environment forms and no subcommand")
        func unixSocket() async throws {
            try await withTemporaryDirectory { directory in
                let socket = "/tmp/drover-\(getpid()).sock"
                let process = try ChildProcess(
                    droverExecutable(),
                    [],
                    environment: [
                        "KINE_ENDPOINT": "sqlite://\(directory)/u.db", "KINE_LISTEN_ADDRESS": "unix://\(socket)",
                    ],
                    log: "\(directory)/u.log"
                )
                let curl = try #require(find("curl"))
                var answer = ""
                let deadline = Date().addingTimeInterval(20)
                while answer.isEmpty && Date() < deadline {
                    usleep(50_000)
                    answer = try run(curl, ["-s", "--unix-socket", socket, "http://drover/health"]).output
                }
                #expect(answer == #"{"health":"true","reason":""}"#)
                var status = stat()
                #expect(stat(socket, &status) == 0 && status.st_mode & 0o777 == 0o600)
                process.stop()
                #expect(stat(socket, &status) != 0)
            }
        }

        @Test("a command line of kine's starts it, and what has no effect is named")
        func kine() async throws {
            try await withTemporaryDirectory { directory in
                let (port, metrics) = (freePort(), freePort())
                let process = try ChildProcess(
                    droverExecutable(),
                    [
                        "--listen-address", "tcp://127.0.0.1:\(port)", "--endpoint=sqlite://\(directory)/k.db",
                        "--log-format", "plain", "--metrics-bind-address", "127.0.0.1:\(metrics)",
                        "--datastore-max-idle-connections=10", "--datastore-max-open-connections", "100",
                        "--datastore-connection-max-lifetime=1h", "--slow-sql-threshold", "1s",
                        "--slow-sql-warning-threshold=5s", "--metrics-enable-profiling=false",
                        "--metrics-ignore-tls-config=true", "--watch-progress-notify-interval", "5s",
                        "--emulated-etcd-version", "3.5.13", "--compact-interval", "5m", "--compact-interval-jitter=10",
                        "--compact-timeout", "5s", "--compact-min-retain", "1000", "--compact-batch-size", "1000",
                        "--poll-batch-size", "500", "--debug=false",
                    ],
                    log: "\(directory)/k.log"
                )
                let curl = try #require(find("curl"))
                var answer = ""
                let deadline = Date().addingTimeInterval(20)
                while answer.isEmpty && Date() < deadline && process.isRunning {
                    usleep(50_000)
                    answer = try run(curl, ["-s", "http://127.0.0.1:\(port)/health"]).output
                }
                #expect(answer == #"{"health":"true","reason":""}"#, "\(process.log)")
                process.stop()
                let warning = process.log.split(separator: "\n").first { $0.contains("no effect") } ?? ""
                #expect(warning.contains("poll-batch-size") && warning.contains("metrics-ignore-tls-config"))
                #expect(!warning.contains("metrics-enable-profiling") && !warning.contains("compact-interval,"))
            }
        }

        @Test("the history is compacted by itself, by age, by revisions, and as kine has it")
        func autoCompaction() async throws {
            let forms = [
                ["--auto-compaction-retention", "1s"], ["--compact-interval", "300ms", "--compact-min-retain", "5"],
            ]
            for arguments in forms {
                try await withTemporaryDirectory { directory in
                    let server = try await TestServer.drover(directory: directory, arguments: arguments)
                    let connection = try await server.connect()
                    for i in 0..<20 { try await put(connection, "a", "\(i)") }
                    var old = PBRangeRequest()
                    old.key = Data("a".utf8)
                    old.revision = 3
                    var refusal: ClientError?
                    for _ in 0..<60 where refusal == nil {
                        do {
                            let _: PBRangeResponse = try await connection.unary("/etcdserverpb.KV/Range", old)
                            try await Task.sleep(nanoseconds: 100_000_000)
                        } catch let error as ClientError {
                            refusal = error
                        }
                    }
                    #expect(refusal?.message == "etcdserver: mvcc: required revision has been compacted")
                    // What is to be kept is there.
                    old.revision = arguments[0] == "--compact-interval" ? 17 : 21
                    let kept: PBRangeResponse = try await connection.unary("/etcdserverpb.KV/Range", old)
                    #expect(kept.kvs.count == 1)
                    await connection.close()
                    server.process.stop()
                }
            }
            for (flags, words) in [
                (["--auto-compaction-mode", "often"], "periodic or revision"),
                (["--auto-compaction-retention", "soon"], "duration"),
                (["--auto-compaction-mode", "revision", "--auto-compaction-retention", "1h"], "number of revisions"),
                (["--auto-compaction-retention", String(repeating: "9", count: 400) + "h"], "duration"),
            ] {
                let result = try run(droverExecutable(), ["serve"] + flags)
                #expect(result.status != 0 && result.error.contains(words), "\(result.error)")
            }
            // A number of the environment that is none is not passed over in silence.
            for name in ["DROVER_MAX_TXN_OPS", "KINE_COMPACT_MIN_RETAIN"] {
                let result = try run(droverExecutable(), ["serve"], environment: [name: "many"])
                #expect(result.status != 0 && result.error.contains("must be a number"), "\(result.error)")
            }
        }

        @Test("SIGINT ends it cleanly while a watch is open; a second signal at once")
        func signals() async throws {
            try await withTemporaryDirectory { directory in
                let server = try await TestServer.drover(directory: directory)
                let watch = try await WatchCollector(server, prefix: "w/")
                server.process.signal(SIGINT)
                #expect(server.process.wait() == 0)
                #expect(server.process.log.contains("stopped"))
                try await wait(10) { await watch.ending != nil }

                let again = try await TestServer.drover(directory: directory, port: freePort())
                // A half-sent request keeps the clean end waiting for its grace.
                let raw = try RawConnection(port: again.port)
                raw.send(Frames.hello + Frames.frame(1, 4, 1, Frames.request("/etcdserverpb.KV/Put")))
                usleep(200_000)
                let begun = ContinuousClock.now
                again.process.signal(SIGTERM)
                usleep(300_000)
                again.process.signal(SIGTERM)
                _ = again.process.wait()
                #expect(begun.duration(to: .now) < .seconds(3))
            }
        }
    }
}
