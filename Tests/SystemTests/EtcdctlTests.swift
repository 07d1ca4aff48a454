import DroverClient
import EtcdAPI
import Foundation
import TestSupport
import Testing

extension SystemTests {
    /// etcdctl's commands, against a real etcd and against drover, both with TLS and with users: what it prints is the same.
    @Suite("every command of etcdctl")
    struct Etcdctl {
        private struct Target {
            let port: Int
            let process: ChildProcess
            let certificates: TestCertificates
            let etcdctl: String
            var user: String?

            func run(_ arguments: [String], input: String = "") throws -> String {
                var environment = [
                    "ETCDCTL_API": "3", "ETCDCTL_ENDPOINTS": "https://127.0.0.1:\(port)",
                    "ETCDCTL_CACERT": certificates.path("ca.pem"), "ETCDCTL_CERT": certificates.path("nobody.pem"),
                    "ETCDCTL_KEY": certificates.path("nobody.key"), "ETCDCTL_DIAL_TIMEOUT": "3s",
                ]
                if let user { environment["ETCDCTL_USER"] = user }
                let result = try TestSupport.run(
                    etcdctl,
                    arguments,
                    environment: environment,
                    input: input,
                    timeout: arguments.first == "watch" ? 2 : 20
                )
                // What it logs beside its errors names ports and times.
                let errors = result.error.split(separator: "\n").filter { $0.hasPrefix("Error:") }
                return ([result.output] + errors.map(String.init)).joined(separator: "\n")
            }
        }

        private func start(
            _ program: String,
            _ arguments: [String],
            _ directory: String,
            _ port: Int,
            _ certificates: TestCertificates,
            _ etcdctl: String
        ) async throws -> Target {
            let process = try ChildProcess(program, arguments, log: "\(directory)/\(port).log")
            let target = Target(port: port, process: process, certificates: certificates, etcdctl: etcdctl)
            for _ in 0..<200 {
                if try target.run(["get", "none"]) == "" { return target }
                try await Task.sleep(nanoseconds: 50_000_000)
            }
            throw ServerFailure("the server did not start: \(process.log.suffix(2_000))")
        }

        /// Numbers that differ between two servers, and how long things took.
        private func comparable(_ text: String) -> String {
            text.replacing(/127\.0\.0\.1:\d+/) { _ in "ADDRESS" }
                .replacing(/(cluster_id|member_id|raft_term)":\d+/) { "\($0.1)\":N" }
                .replacing(/"(ClusterID|MemberID|RaftTerm)" : \d+/) { "\($0.1) N" }
                .replacing(/[0-9.]+(ms|µs|s)\b/) { _ in "TIME" }
                .replacing(/\b[0-9a-f]{15,16}\b/) { _ in "ID" }
                .replacing(/remaining\(\d+s\)/) { _ in "remaining" }
        }

        private let commands: [(arguments: [String], input: String)] = [
            (["put", "a", "1"], ""), (["put", "b", "2", "--prev-kv"], ""), (["put", "a", "3", "--prev-kv"], ""),
            (["get", "a"], ""), (["get", "a", "-w", "json"], ""), (["get", "a", "-w", "fields"], ""),
            (["get", "", "--prefix", "--keys-only"], ""), (["get", "a", "c", "--order", "DESCEND"], ""),
            (["get", "", "--prefix", "--count-only", "-w", "fields"], ""), (["get", "a", "--rev", "2"], ""),
            (["get", "a", "--rev", "99"], ""), (["get", "--from-key", "a", "--limit", "1"], ""),
            (["put", "none", "x", "--ignore-value"], ""), (["del", "b", "--prev-kv"], ""), (["del", "b"], ""),
            (["txn"], "value(\"a\") = \"3\"\n\nput t yes\nget t\n\nput t no\n\n"),
            (["txn"], "mod(\"a\") > \"99\"\n\nput t yes\n\nget t\n\n"),
            (["watch", "a", "--rev", "2"], ""), (["watch", "--prefix", "", "--rev", "3", "--prev-kv"], ""),
            (["compaction", "3"], ""), (["compaction", "3"], ""), (["get", "a", "--rev", "2"], ""),
            (["watch", "a", "--rev", "1"], ""), (["lease", "timetolive", "1234"], ""),
            (["lease", "revoke", "1234"], ""),
            (["lease", "list"], ""), (["alarm", "list"], ""), (["alarm", "disarm"], ""), (["defrag"], ""),
            (["endpoint", "health"], ""), (["endpoint", "hashkv"], ""), (["lock", "l", "/bin/echo", "held"], ""),
            (["user", "add", "u:pw"], ""), (["user", "add", "u:pw"], ""),
            (["user", "add", "free", "--no-password"], ""),
            (["user", "list"], ""), (["user", "get", "u"], ""), (["user", "get", "none"], ""),
            (["user", "passwd", "u", "--interactive=false"], "new\n"), (["role", "add", "r"], ""),
            (["role", "add", "r"], ""),
            (["role", "grant-permission", "r", "readwrite", "foo", "--prefix"], ""),
            (["role", "grant-permission", "r", "read", "bar"], ""),
            (["role", "grant-permission", "r", "write", "x", "--from-key"], ""), (["role", "get", "r"], ""),
            (["role", "get", "none"], ""), (["role", "list"], ""), (["user", "grant-role", "u", "r"], ""),
            (["user", "grant-role", "u", "none"], ""), (["user", "get", "u", "--detail"], ""),
            (["get", "foo", "--user", "u:new"], ""), (["put", "bar", "1", "--user", "u:new"], ""),
            (["get", "a", "--user", "u:wrong"], ""), (["get", "a", "--user", "u:new"], ""),
            (["put", "foo1", "1", "--user", "u:new"], ""), (["user", "list", "--user", "u:new"], ""),
            (["role", "revoke-permission", "r", "bar"], ""), (["role", "revoke-permission", "r", "none"], ""),
            (["user", "revoke-role", "u", "r"], ""), (["user", "revoke-role", "u", "r"], ""),
            (["get", "foo", "--user", "u:new"], ""), (["user", "delete", "u"], ""), (["user", "delete", "u"], ""),
            (["user", "delete", "root"], ""), (["role", "delete", "r"], ""), (["role", "delete", "r"], ""),
            (["auth", "enable"], ""), (["auth", "disable"], ""), (["get", "a"], ""),
        ]

        @Test("the same words as of etcd, with TLS and users")
        func same() async throws {
            try await withTemporaryDirectory { directory in
                let certificates = try TestCertificates("\(directory)/certificates")
                let etcd = try #require(environment("DROVER_TEST_ETCD") ?? find("etcd"), "there is no etcd")
                for etcdctl in [find("etcdctl"), environment("DROVER_TEST_ETCDCTL")].compactMap({ $0 }) {
                    let (port, peer, own) = (freePort(), freePort(), freePort())
                    let url = "https://127.0.0.1:\(port)"
                    let theirs = try await start(
                        etcd,
                        [
                            "--data-dir", "\(directory)/etcd-\(port)", "--listen-client-urls", url,
                            "--advertise-client-urls",
                            url, "--listen-peer-urls", "http://127.0.0.1:\(peer)", "--initial-advertise-peer-urls",
                            "http://127.0.0.1:\(peer)", "--initial-cluster", "default=http://127.0.0.1:\(peer)",
                            "--cert-file", certificates.path("server.pem"), "--key-file",
                            certificates.path("server.key"),
                            "--trusted-ca-file", certificates.path("ca.pem"), "--log-level", "error",
                        ],
                        directory,
                        port,
                        certificates,
                        etcdctl
                    )
                    let ours = try await start(
                        droverExecutable(),
                        [
                            "serve", "--endpoint", "sqlite://\(directory)/\(own).db", "--listen-address",
                            "https://127.0.0.1:\(own)", "--server-cert-file", certificates.path("server.pem"),
                            "--server-key-file", certificates.path("server.key"), "--trusted-ca-file",
                            certificates.path("ca.pem"),
                        ],
                        directory,
                        own,
                        certificates,
                        etcdctl
                    )
                    var targets = [theirs, ours]
                    for command in [
                        ["user", "add", "root:pw"], ["user", "grant-role", "root", "root"], ["auth", "enable"],
                    ] {
                        let words = try targets.map { try $0.run(command) }
                        #expect(words[0] == words[1], "\(command)")
                    }
                    for i in targets.indices { targets[i].user = "root:pw" }
                    var said = 0
                    for (arguments, input) in commands {
                        let words = try targets.map { comparable(try $0.run(arguments, input: input)) }
                        #expect(words[0] == words[1], "etcdctl \(arguments.joined(separator: " "))")
                        if !words[1].isEmpty { said += 1 }
                    }
                    // Few say nothing at all: a deletion's wait, a key that is not there.
                    #expect(said > commands.count * 3 / 4, "\(said) of \(commands.count) said something")
                    for target in targets { target.process.stop() }
                }
            }
        }
    }
}
