import DroverClient
import EtcdAPI
import Foundation
import TestSupport
import Testing

extension SystemTests {
    /// What people type, and what programs do with the client's commands.
    @Suite("the client as it is used")
    struct ClientUsage {
        private func drover(
            _ server: TestServer,
            _ arguments: [String],
            input: String? = nil
        ) throws -> (status: Int32, output: String, error: String) {
            try run(
                droverExecutable(),
                arguments,
                environment: ["ETCDCTL_ENDPOINTS": "127.0.0.1:\(server.port)"],
                input: input,
                timeout: 30
            )
        }

        private func shell(_ server: TestServer, _ script: String) throws -> (
            status: Int32, output: String, error: String
        ) {
            try run(
                "/bin/sh",
                ["-c", script],
                environment: ["ETCDCTL_ENDPOINTS": "127.0.0.1:\(server.port)", "D": droverExecutable()],
                timeout: 60
            )
        }

        @Test("a value that does not come is not written, and bytes that are no text are not changed")
        func values() async throws {
            try await withTemporaryDirectory { directory in
                let server = try await TestServer.drover(directory: directory)
                #expect(try drover(server, ["put", "k", "kept"]).status == 0)
                for script in ["false | $D put k", "$D put k </dev/null", "$D put k </"] {
                    let result = try shell(server, script)
                    #expect(result.status == 128 && !result.error.isEmpty, "\(script): \(result)")
                }
                #expect(try drover(server, ["get", "k", "--print-value-only"]).output == "kept\n")
                let bytes = try shell(server, "$D put \"$(printf '\\377')\" x; echo $?; $D get '' --prefix --keys-only")
                #expect(bytes.output.hasPrefix("128\n") && !bytes.output.contains("\u{fffd}"), "\(bytes)")
                // A value of any bytes goes through standard input.
                let value = try shell(server, "printf '\\377\\0' | $D put b && $D get b -w json")
                #expect(value.status == 0 && value.output.contains("\"/wA=\""), "\(value)")
                let txn = try drover(server, ["txn"], input: "\nput k \"\\xff\"\n\n\n")
                #expect(txn.status != 0 && txn.error.contains("UTF-8"), "\(txn)")
                #expect(try drover(server, ["get", "k", "--print-value-only"]).output == "kept\n")
                server.process.stop()
            }
        }

        @Test("flags stand where etcdctl takes them")
        func flags() async throws {
            try await withTemporaryDirectory { directory in
                let server = try await TestServer.drover(directory: directory)
                let here = "127.0.0.1:\(server.port)"
                #expect(try drover(server, ["put", "k", "v"]).status == 0)
                for arguments in [["get", "k", "-wjson"], ["-wjson", "get", "k"], ["get", "-w=json", "k"]] {
                    let result = try drover(server, arguments)
                    #expect(result.status == 0 && result.output.contains("\"kvs\""), "\(arguments): \(result)")
                }
                for arguments in [["endpoint", "--cluster", "status"], ["endpoint", "-w", "json", "status"]] {
                    let result = try drover(server, arguments)
                    #expect(result.status == 0 && result.output.contains(here), "\(arguments): \(result)")
                }
                #expect(try drover(server, ["member", "--endpoints", here, "list"]).status == 0)
                #expect(try drover(server, ["get", "k", "--no-such-flag"]).status == 1)
                // Several are several, not the last alone.
                let nobody = "127.0.0.1:1"
                for endpoints in [[nobody, here], [here, nobody]] {
                    let result = try drover(server, ["get", "k"] + endpoints.flatMap { ["--endpoints", $0] })
                    #expect(result.output == "k\nv\n", "\(endpoints): \(result)")
                }
                // Cleartext that is not allowed is not spoken.
                let secret = try drover(server, ["--insecure-transport=false", "--user", "root:secret", "get", "k"])
                #expect(secret.status == 1 && secret.output.isEmpty, "\(secret)")
                server.process.stop()
            }
        }

        @Test("a server that takes connections and does nothing more is not the one that is asked")
        func hungEndpoint() async throws {
            try await withTemporaryDirectory { directory in
                let server = try await TestServer.drover(directory: directory)
                mkdir("\(directory)/hung", 0o755)
                let hung = try await TestServer.drover(directory: "\(directory)/hung")
                #expect(try drover(server, ["put", "k", "v"]).status == 0)
                hung.process.signal(SIGSTOP)
                let both = "127.0.0.1:\(hung.port),127.0.0.1:\(server.port)"
                let result = try drover(server, ["get", "k", "--endpoints", both, "--dial-timeout", "1s"])
                #expect(result.output == "k\nv\n", "\(result)")
                let alone = try drover(
                    server,
                    ["get", "k", "--endpoints", "127.0.0.1:\(hung.port)", "--dial-timeout", "1s"]
                )
                #expect(alone.status == 1 && alone.error.contains("cannot connect"), "\(alone)")
                hung.process.signal(SIGCONT)
                hung.process.stop()
                server.process.stop()
            }
        }

        @Test("a request as large as was allowed arrives")
        func largeRequests() async throws {
            try await withTemporaryDirectory { directory in
                let server = try await TestServer.drover(
                    directory: directory,
                    arguments: ["--max-request-bytes", "100000000"]
                )
                let connection = try await server.connect()
                let put = PBPutRequest.with {
                    $0.key = Data("k".utf8)
                    $0.value = Data(repeating: 120, count: 60_000_000)
                }
                let _: PBPutResponse = try await connection.unary("/etcdserverpb.KV/Put", put)
                let range = PBRangeRequest.with { $0.key = Data("k".utf8) }
                let reply: PBRangeResponse = try await connection.unary("/etcdserverpb.KV/Range", range)
                #expect(reply.kvs.first?.value.count == 60_000_000)
                await connection.close()
                server.process.stop()
            }
        }

        @Test("programs that are run read nothing of this one's input")
        func input() async throws {
            try await withTemporaryDirectory { directory in
                let server = try await TestServer.drover(directory: directory)
                let result = try shell(server, "printf 'mine\\n' | { $D lock l -- cat; cat; }")
                #expect(result.status == 0 && result.output == "mine\n", "\(result)")
                server.process.stop()
            }
        }

        @Test("who waits for a lock waits on when the server is started anew")
        func waiting() async throws {
            try await withTemporaryDirectory { directory in
                let server = try await TestServer.drover(directory: directory)
                func waiter(_ name: String, _ command: [String]) throws -> ChildProcess {
                    try ChildProcess(
                        droverExecutable(),
                        ["lock", "l", "--ttl", "30", "--"] + command,
                        environment: ["ETCDCTL_ENDPOINTS": "127.0.0.1:\(server.port)"],
                        log: "\(directory)/\(name).log"
                    )
                }
                func keys() throws -> Int {
                    try drover(server, ["get", "l/", "--prefix", "--keys-only"]).output.split(separator: "\n").count
                }
                func until(_ count: Int) async throws {
                    try await wait(10) { try keys() == count }
                }
                let holder = try waiter("holder", ["sleep", "8"])
                try await until(1)
                let second = try waiter("second", ["sh", "-c", "echo second: $ETCD_LOCK_KEY; sleep 1"])
                try await until(2)
                let third = try waiter("third", ["echo", "third"])
                try await until(3)
                let last = try ChildProcess(
                    droverExecutable(),
                    ["lock", "l", "--ttl", "30"],
                    environment: ["ETCDCTL_ENDPOINTS": "127.0.0.1:\(server.port)"],
                    log: "\(directory)/last.log"
                )
                try await until(4)
                server.process.stop()
                let again = try await TestServer.drover(directory: directory, port: server.port)
                // Whose turn is next is not said: a server that stops gives up for who waits on it.
                var isLastTold = false
                for _ in 0..<600 where [holder, second, third, last].contains(where: \.isRunning) {
                    if !isLastTold && last.log.contains("l/") {
                        isLastTold = true
                        last.signal(SIGTERM)
                    }
                    try await Task.sleep(nanoseconds: 50_000_000)
                }
                for process in [holder, second, third, last] {
                    #expect(!process.isRunning)
                    if process.isRunning { process.signal(SIGKILL) }
                    #expect(process.wait() == 0, "\(process.log)")
                }
                #expect(isLastTold && second.log.contains("second: l/") && third.log.contains("third"))
                try await until(0)
                again.process.stop()
            }
        }

        @Test("a command that takes its time after signals keeps its lock, however many come")
        func signals() async throws {
            try await withTemporaryDirectory { directory in
                let server = try await TestServer.drover(directory: directory)
                let script =
                    "trap 'echo told' INT TERM; echo begun; i=0; while [ $i -lt 50 ]; do sleep 0.1; i=$((i+1)); done; exit 5"
                let holder = try ChildProcess(
                    droverExecutable(),
                    ["lock", "l", "--ttl", "4", "--", "sh", "-c", script],
                    environment: ["ETCDCTL_ENDPOINTS": "127.0.0.1:\(server.port)"],
                    log: "\(directory)/holder.log"
                )
                try await wait(10) { holder.log.contains("begun") }
                for _ in 0..<3 {
                    holder.signal(SIGINT)
                    try await Task.sleep(nanoseconds: 800_000_000)
                }
                #expect(holder.isRunning)
                #expect(!(try drover(server, ["get", "l/", "--prefix", "--keys-only"]).output.isEmpty))
                #expect(holder.wait() == 5)
                #expect(holder.log.components(separatedBy: "told").count > 2)
                #expect(try drover(server, ["get", "l/", "--prefix", "--keys-only"]).output.isEmpty)
                server.process.stop()
            }
        }
    }
}
