import DroverClient
import EtcdAPI
import Foundation
import TestSupport
import Testing

extension SystemTests {
    /// The client's commands while servers, signals and readers come and go.
    @Suite("the client in bad company")
    struct ClientLife {
        private func put(_ server: TestServer, _ key: String) async throws {
            let connection = try await server.connect()
            let request = PBPutRequest.with {
                $0.key = Data(key.utf8)
                $0.value = Data(key.utf8)
            }
            let _: PBPutResponse = try await connection.unary("/etcdserverpb.KV/Put", request)
            await connection.close()
        }

        private func count(_ server: TestServer, prefix: String) async throws -> Int64 {
            let connection = try await server.connect()
            let request = PBRangeRequest.with {
                $0.key = Data(prefix.utf8)
                $0.rangeEnd = Data((prefix.dropLast() + "0").utf8)
                $0.countOnly = true
            }
            let reply: PBRangeResponse = try await connection.unary("/etcdserverpb.KV/Range", request)
            await connection.close()
            return reply.count
        }

        private func client(
            _ arguments: [String],
            _ server: TestServer,
            _ directory: String,
            log: String
        ) throws -> ChildProcess {
            try ChildProcess(
                droverExecutable(),
                arguments,
                environment: ["ETCDCTL_ENDPOINTS": "127.0.0.1:\(server.port)"],
                log: "\(directory)/\(log)"
            )
        }

        private func ends(_ process: ChildProcess, within seconds: Double) async throws -> Int32? {
            let deadline = Date().addingTimeInterval(seconds)
            while process.isRunning && Date() < deadline { try await Task.sleep(nanoseconds: 50_000_000) }
            if !process.isRunning { return process.wait() }
            process.signal(SIGKILL)
            return nil
        }

        @Test("a command under a lock keeps it through a restart of the server, and a signal until it has ended")
        func lockedCommand() async throws {
            try await withTemporaryDirectory { directory in
                let server = try await TestServer.drover(directory: directory)
                let script = "trap 'echo told; sleep 3; exit 7' TERM; echo begun; while true; do sleep 0.1; done"
                let holder = try client(
                    ["lock", "l", "--ttl", "10", "--", "sh", "-c", script],
                    server,
                    directory,
                    log: "holder.log"
                )
                try await wait(10) { holder.log.contains("begun") }
                server.process.stop()
                let again = try await TestServer.drover(directory: directory, port: server.port)
                // Longer than a lock lasts that nobody renews.
                try await Task.sleep(nanoseconds: 12_000_000_000)
                #expect(try await count(again, prefix: "l/") == 1)
                holder.signal(SIGTERM)
                try await wait(5) { holder.log.contains("told") }
                #expect(try await count(again, prefix: "l/") == 1)
                #expect(try await ends(holder, within: 10) == 7)
                #expect(try await count(again, prefix: "l/") == 0)
                // A program that sets up nothing for signals gets them all the same.
                let plain = try client(
                    ["lock", "l", "--", "sh", "-c", "echo begun; exec sleep 1000"],
                    again,
                    directory,
                    log: "plain.log"
                )
                try await wait(10) { try await count(again, prefix: "l/") == 1 }
                try await wait(10) { plain.log.contains("begun") }
                plain.signal(SIGTERM)
                #expect(try await ends(plain, within: 10) == 128 + SIGTERM)
                again.process.stop()
            }
        }

        @Test("who holds a lock gives up when its time is over, whatever the server does not say")
        func expiredSession() async throws {
            try await withTemporaryDirectory { directory in
                let server = try await TestServer.drover(directory: directory)
                let holder = try client(
                    ["lock", "l", "--ttl", "2", "--command-timeout", "1s"],
                    server,
                    directory,
                    log: "holder.log"
                )
                try await wait(10) { holder.log.contains("l/") }
                server.process.signal(SIGSTOP)
                #expect(try await ends(holder, within: 15) == 1)
                #expect(holder.log.contains("session expired"))
                // No command that asks waits for ever.
                let get = try client(["get", "a", "--command-timeout", "1s"], server, directory, log: "get.log")
                #expect(try await ends(get, within: 10) == 1)
                server.process.signal(SIGCONT)
                server.process.stop()
            }
        }

        @Test("a watch goes on where it was when the server is back, and ends with who reads it")
        func watches() async throws {
            try await withTemporaryDirectory { directory in
                let server = try await TestServer.drover(directory: directory)
                let watch = try client(["watch", "w/", "--prefix"], server, directory, log: "watch.log")
                try await wait(10) {
                    try await put(server, "w/first")
                    return watch.log.contains("w/first")
                }
                server.process.stop()
                let again = try await TestServer.drover(directory: directory, port: server.port)
                try await put(again, "w/between")
                try await wait(10) { watch.log.contains("w/between") }
                #expect(watch.log.components(separatedBy: "w/between").count == 3, "the key and its value, once")
                watch.stop()
                let pipe = try ChildProcess(
                    "/bin/sh",
                    ["-c", "'\(droverExecutable())' watch p/ --prefix | head -1; echo over"],
                    environment: ["ETCDCTL_ENDPOINTS": "127.0.0.1:\(again.port)"],
                    log: "\(directory)/pipe.log"
                )
                try await wait(15) {
                    try await put(again, "p/a")
                    return pipe.log.contains("over")
                }
                #expect(pipe.log.hasPrefix("PUT\n"))
                again.process.stop()
            }
        }

        @Test("watches that lines ask for: one that is cancelled leaves the others, each has a command of its own")
        func interactiveWatches() async throws {
            try await withTemporaryDirectory { directory in
                let server = try await TestServer.drover(directory: directory)
                let lines = "printf 'watch i/a\\nwatch i/b -- echo ran\\ncancel 1\\n'; sleep 4"
                let process = try ChildProcess(
                    "/bin/sh",
                    ["-c", "(\(lines)) | '\(droverExecutable())' watch -i; echo ended $?"],
                    environment: ["ETCDCTL_ENDPOINTS": "127.0.0.1:\(server.port)"],
                    log: "\(directory)/lines.log"
                )
                try await wait(10) {
                    try await put(server, "i/b")
                    return process.log.contains("ran")
                }
                // The end of the input ends it, as in etcdctl.
                try await wait(10) { process.log.contains("ended 3") }
                server.process.stop()
            }
        }

        @Test("the help shows no password of the environment")
        func help() throws {
            for (arguments, name) in [
                (["serve"], "DROVER_ENDPOINT"), (["check"], "DROVER_ENDPOINT"),
                (["snapshot", "restore"], "DROVER_ENDPOINT"), (["get"], "ETCDCTL_PASSWORD"),
                (["get"], "ETCDCTL_USER"), (["bench", "run"], "ETCDCTL_USER"),
            ] {
                let secret = name == "DROVER_ENDPOINT" ? "postgres://u:hidden@h/d" : "u:hidden"
                let result = try run(droverExecutable(), arguments + ["--help"], environment: [name: secret])
                #expect(!(result.output + result.error).contains("hidden"), "\(arguments)")
            }
        }

        @Test("a socket that another server listens on is left to it")
        func sockets() async throws {
            try await withTemporaryDirectory { directory in
                let arguments = ["--listen-address", "unix://\(directory)/s,http://127.0.0.1:\(freePort())"]
                let first = try ChildProcess(
                    droverExecutable(),
                    ["serve", "--endpoint", "sqlite://\(directory)/a.db"] + arguments,
                    log: "\(directory)/first.log"
                )
                try await wait(10) { access("\(directory)/s", F_OK) == 0 }
                let other = try run(
                    droverExecutable(),
                    [
                        "serve", "--endpoint", "sqlite://\(directory)/b.db", "--listen-address",
                        "unix://\(directory)/s",
                    ],
                    timeout: 10
                )
                #expect(other.status != 0 && other.error.contains("another process listens"), "\(other.error)")
                #expect(access("\(directory)/s", F_OK) == 0)
                first.stop()
                #expect(access("\(directory)/s", F_OK) != 0)
            }
        }
    }
}
