import Foundation
import TestSupport
import Testing

extension SystemTests {
    /// What browsers are told of pages that may ask, and hosts that may be named.
    @Suite("browsers and hosts")
    struct Browsers {
        private func curl(_ port: Int, _ arguments: [String], path: String = "/health") throws -> String {
            let program = try #require(find("curl"))
            return try run(program, ["-sSi", "--max-time", "5"] + arguments + ["http://127.0.0.1:\(port)\(path)"])
                .output
                .replacingOccurrences(of: "\r", with: "").lowercased()
        }

        @Test("as etcd tells them, over both versions of HTTP")
        func same() async throws {
            try await withTemporaryDirectory { directory in
                let etcd = try await TestServer.etcd(directory: directory)
                let drover = try await TestServer.drover(directory: directory)
                func access(_ reply: String) -> [Substring] {
                    reply.split(separator: "\n").filter { $0.hasPrefix("access-control") }.sorted()
                }
                for (arguments, path) in [
                    ([], "/health"), (["-X", "OPTIONS"], "/v3/kv/range"), (["-X", "OPTIONS"], "/nowhere"),
                    (["-d", "{\"key\":\"YQ==\"}"], "/v3/kv/range"), (["-d", "{}"], "/v3/kv/range"),
                    (["-H", "Origin: http://page"], "/version"),
                ] as [([String], String)] {
                    let theirs = try curl(etcd.port, arguments, path: path)
                    for version in ["--http1.1", "--http2-prior-knowledge"] {
                        let ours = try curl(drover.port, [version] + arguments, path: path)
                        #expect(access(ours) == access(theirs) && access(ours).count == 3, "\(path) \(version)")
                        #expect(ours.split(separator: " ")[1].prefix(3) == theirs.split(separator: " ")[1].prefix(3))
                    }
                }
                drover.process.stop()
            }
        }

        @Test("only the hosts and pages that were named")
        func lists() async throws {
            try await withTemporaryDirectory { directory in
                let server = try await TestServer.drover(
                    directory: directory,
                    arguments: ["--host-whitelist", "localhost,127.0.0.1", "--cors", "http://good"]
                )
                for version in ["--http1.1", "--http2-prior-knowledge"] {
                    #expect(try curl(server.port, [version]).contains("\"health\":\"true\""))
                    let other = try curl(server.port, [version, "-H", "Host: evil.example:2379"])
                    #expect(other.contains(" 421"), "\(other)")
                    let asked = try curl(server.port, [version, "-X", "OPTIONS", "-H", "Host: evil.example:2379"])
                    #expect(asked.contains(" 421"), "\(asked)")
                    let post = try curl(
                        server.port,
                        [version, "-H", "Host: evil.example", "-d", "{\"key\":\"YQ==\"}"],
                        path: "/v3/kv/range"
                    )
                    #expect(post.contains(" 421") && !post.contains("header\":"), "\(post)")
                    #expect(
                        try curl(server.port, [version, "-H", "Origin: http://good"]).contains(
                            "allow-origin: http://good"
                        )
                    )
                    #expect(!(try curl(server.port, [version, "-H", "Origin: http://bad"])).contains("access-control"))
                }
                server.process.stop()
            }
        }
    }
}
