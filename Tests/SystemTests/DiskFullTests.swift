import DroverClient
import EtcdAPI
import Foundation
import TestSupport
import Testing

extension SystemTests {
    @Suite("a full disk")
    struct DiskFull {
        private func put(_ connection: EtcdConnection, _ key: String, _ bytes: Int) async throws {
            var request = PBPutRequest()
            request.key = Data(key.utf8)
            request.value = Data(repeating: 1, count: bytes)
            let _: PBPutResponse = try await connection.unary("/etcdserverpb.KV/Put", request)
        }

        private func count(_ connection: EtcdConnection) async throws -> Int64 {
            var request = PBRangeRequest()
            request.key = Data([0])
            request.rangeEnd = Data([0])
            request.countOnly = true
            let reply: PBRangeResponse = try await connection.unary("/etcdserverpb.KV/Range", request)
            return reply.count
        }

        /// Starts drover with a limit on the size of files, or as a user that may not write, and returns what it says
        /// when it gives up.
        private func refusal(_ command: [String], _ path: String) throws -> String {
            let result = try run(
                command[0],
                command.dropFirst() + [
                    droverExecutable(), "serve", "--endpoint", "sqlite://\(path)", "--listen-address",
                    "127.0.0.1:\(freePort())",
                ]
            )
            #expect(result.status == 1)
            return result.error
        }

        @Test("a full disk and a read-only one at opening: told what to do, and nothing is touched")
        func opening() async throws {
            try await withTemporaryDirectory { directory in
                chmod(directory, 0o755)
                let path = "\(directory)/there.db"
                let server = try await TestServer.drover(directory: directory, endpoint: "sqlite://\(path)")
                let connection = try await server.connect()
                try await put(connection, "a", 10)
                await connection.close()
                server.process.stop()
                func files() throws -> [String: Data] {
                    try FileManager.default.contentsOfDirectory(atPath: directory)
                        .filter { !$0.hasSuffix("-shm") && !$0.hasSuffix(".log") && !$0.hasSuffix(".lock") }
                        .reduce(into: [:]) { $0[$1] = try Data(contentsOf: URL(fileURLWithPath: "\(directory)/\($1)")) }
                }
                let before = try files()
                let prlimit = try #require(find("prlimit"), "there is no prlimit; it is in util-linux")
                for name in ["there", "new"] {
                    let text = try refusal([prlimit, "--fsize=4096"], "\(directory)/\(name).db")
                    #expect(text.contains("full") && text.contains("raise it"), "\(text)")
                }
                #expect(try files() == before)
                // Root may write anywhere.
                let user = getuid() == 0 ? ["/usr/sbin/runuser", "-u", "nobody", "--"] : ["/usr/bin/env"]
                if getuid() != 0 { for name in before.keys { chmod("\(directory)/\(name)", 0o444) } }
                chmod(directory, 0o555)
                for name in ["there", "new"] {
                    let text = try refusal(user, "\(directory)/\(name).db")
                    #expect(text.contains("this user may write there"), "\(text)")
                }
                chmod(directory, 0o755)
                #expect(try files() == before)
            }
        }

        /// A limit on the size of files stands for the disk: it needs no privilege, and can be raised again.
        @Test("writes are refused as etcd refuses them, reads go on, and it recovers")
        func fileSizeLimit() async throws {
            try await withTemporaryDirectory { directory in
                let prlimit = try #require(find("prlimit"), "there is no prlimit; it is in util-linux")
                let server = try await TestServer.drover(directory: directory)
                let connection = try await server.connect()
                try await put(connection, "before", 10)
                func limit(_ bytes: String) throws {
                    let result = try run(prlimit, ["--pid", "\(server.process.identifier)", "--fsize=\(bytes)"])
                    #expect(result.status == 0, "\(result.error)")
                }
                // The hard limit stays: a process without privilege may raise its soft one again.
                try limit("3000000:unlimited")
                var refused: ClientError?
                var written = 1
                for i in 0..<400 {
                    do {
                        try await put(connection, "fill/\(i)", 20_000)
                        written += 1
                    } catch let error as ClientError {
                        refused = error
                        break
                    }
                }
                #expect(refused == ClientError(code: 8, message: "etcdserver: mvcc: database space exceeded"))
                #expect(try await count(connection) == Int64(written))
                await #expect(throws: ClientError.self) { try await put(connection, "more", 20_000) }
                #expect(try await count(connection) == Int64(written))
                try limit("unlimited:unlimited")
                try await put(connection, "after", 20_000)
                #expect(try await count(connection) == Int64(written) + 1)
                await connection.close()
                server.process.stop()
                #expect(server.process.log.contains("full"))

                let again = try await TestServer.drover(directory: directory)
                let reopened = try await again.connect()
                #expect(try await count(reopened) == Int64(written) + 1)
                await reopened.close()
                again.process.stop()
            }
        }
    }
}
