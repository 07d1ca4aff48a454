import DroverClient
import EtcdAPI
import Foundation
import Synchronization
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
                // etcdctl takes one or the other, and does nothing when there are both.
                if let user, !arguments.contains("--user") { environment["ETCDCTL_USER"] = user }
                let result = try TestSupport.run(
                    etcdctl,
                    arguments,
                    environment: environment,
                    input: input,
                    timeout: arguments.first == "watch" ? 4 : 20
                )
                // What it logs beside its errors names ports and times; bad flags are answered in each program's own words.
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

        /// What each target's client prints, all at once: each waits for its server, and for its password's hash.
        private static func say(_ targets: [Target], _ arguments: [String], _ input: String = "") throws -> [String] {
            let words = Mutex([Result<String, any Error>?](repeating: nil, count: targets.count))
            DispatchQueue.concurrentPerform(iterations: targets.count) { place in
                let result = Result { try targets[place].run(arguments, input: input) }
                words.withLock { $0[place] = result }
            }
            return try words.withLock { try $0.map { try $0!.get() } }
        }

        /// Numbers that differ between two servers, and how long things took.
        private func comparable(_ text: String) -> String {
            text.replacing(/127\.0\.0\.1:\d+/) { _ in "ADDRESS" }
                .replacing(/(cluster_id|member_id|raft_term)":\d+/) { "\($0.1)\":N" }
                .replacing(/"(ClusterID|MemberID|RaftTerm)" : \d+/) { "\($0.1) N" }
                .replacing(/[0-9.]+(ms|µs|s)\b/) { _ in "TIME" }
                .replacing(/\b[0-9a-f]{15,16}\b/) { _ in "ID" }
                .replacing(/remaining\(\d+s\)/) { _ in "remaining" }
                .replacing(/("(?:ID|id|lease|ttl)":|"(?:ID|Lease|TTL)" : )\d+/) { "\($0.1)N" }
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

        /// The same in other forms, for the client of drover's own.
        private let forms: [(arguments: [String], input: String)] = {
            var commands: [(arguments: [String], input: String)] = []
            for form in ["json", "fields", "table"] {
                let each: [([String], String)] = [
                    (["put", "f", "a\"b<>\n\u{fc}"], ""), (["put", "f", "2", "--prev-kv"], ""),
                    (["get", "f", "g"], ""), (["get", "nokey"], ""), (["get", "f", "--keys-only"], ""),
                    (["get", "f", "--hex"], ""),
                    (
                        ["txn"],
                        "mod(\"f\") > \"0\"\nvalue(\"f\") = \"2\"\n\nput t yes\nget f\ndel z --prev-kv\n\nput t no\n\n"
                    ),
                    (["del", "f", "--prev-kv"], ""),
                    (["lease", "grant", "100"], ""), (["lease", "timetolive", "1234"], ""),
                    (["lease", "revoke", "1234"], ""), (["lease", "keep-alive", "1234", "--once"], ""),
                    (["alarm", "list"], ""), (["user", "add", "v:p"], ""), (["role", "add", "s"], ""),
                    (["role", "grant-permission", "s", "readwrite", "foo", "--prefix"], ""),
                    (["role", "grant-permission", "s", "read", "x", "--from-key"], ""), (["role", "get", "s"], ""),
                    (["user", "grant-role", "v", "s"], ""), (["user", "get", "v", "--detail"], ""),
                    (["role", "list"], ""), (["user", "list"], ""),
                    (["role", "revoke-permission", "s", "foo", "--prefix"], ""),
                    (["user", "revoke-role", "v", "s"], ""),
                    (["user", "delete", "v"], ""), (["role", "delete", "s"], ""),
                    (["lock", "l", "/bin/echo", "held"], ""),
                    (["member", "remove", "1234"], ""), (["defrag"], ""),
                ]
                commands += each.map { ($0.0 + ["-w", form], $0.1) }
            }
            return commands + [
                (["get", "k", "--hex"], ""), (["put", "k"], "from standard input"), (["get", "k", "--hex"], ""),
                (["get", "k", "--print-value-only=true"], ""), (["--write-out=json", "get", "k"], ""),
                (["put", "--", "k", "-v"], ""), (["get", "k"], ""), (["get", "k", "--consistency=x"], ""),
                (["get"], ""),
                (["del"], ""), (["get", "k", "--order=x"], ""), (["get", "k", "--sort-by=x"], ""),
                (["get", "k", "--count-only"], ""), (["get", "k", "--prefix", "--from-key"], ""),
                (["lease", "grant"], ""), (["txn"], ""), (["txn"], "foo\n\n\n\n"), (["user", "add"], ""),
                (["watch", "k", "--rev", "2", "--", "/bin/sh", "-c", "echo $ETCD_WATCH_KEY $ETCD_WATCH_VALUE"], ""),
                (["del", "k", "k2", "--prev-kv", "--hex"], ""), (["elect", "e"], ""),
            ]
        }()

        @Test("the same words as of etcd, with TLS and users")
        func same() async throws {
            for etcdctl in [find("etcdctl"), environment("DROVER_TEST_ETCDCTL")].compactMap({ $0 }) {
                try await compare(etcdctl, with: etcdctl, commands)
            }
        }

        @Test("drover's own client says what etcdctl does, in every form")
        func ownClient() async throws {
            let etcdctl = try #require(environment("DROVER_TEST_ETCDCTL") ?? find("etcdctl"), "there is no etcdctl")
            // What etcdctl 3.5 prints otherwise than 3.4, or has anew: ours is the newer form.
            let isOld = try TestSupport.run(etcdctl, ["version"], environment: ["ETCDCTL_API": "3"]).output.contains(
                ": 3.4"
            )
            let own = (commands + forms).filter { arguments, _ in
                let isNew =
                    arguments.contains("--count-only") || arguments == ["endpoint", "health"]
                    || arguments == ["txn", "-w", "json"] || arguments.starts(with: ["alarm", "list", "-w"])
                return !(isOld && isNew)
            }
            try await compare(etcdctl, with: droverExecutable(), own)
        }

        /// Puts the same commands to etcd by one client, and to drover by another.
        private func compare(
            _ etcdctl: String,
            with own: String,
            _ commands: [(arguments: [String], input: String)]
        ) async throws {
            try await withTemporaryDirectory { directory in
                let certificates = try TestCertificates("\(directory)/certificates")
                let etcd = try #require(environment("DROVER_TEST_ETCD") ?? find("etcd"), "there is no etcd")
                let (port, peer, ownPort) = (freePort(), freePort(), freePort())
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
                        "serve", "--endpoint", "sqlite://\(directory)/\(ownPort).db", "--listen-address",
                        "https://127.0.0.1:\(ownPort)", "--server-cert-file", certificates.path("server.pem"),
                        "--server-key-file", certificates.path("server.key"), "--trusted-ca-file",
                        certificates.path("ca.pem"),
                    ],
                    directory,
                    ownPort,
                    certificates,
                    own
                )
                var targets = [theirs, ours]
                for command in [
                    ["user", "add", "root:pw"], ["user", "grant-role", "root", "root"], ["auth", "enable"],
                ] {
                    let words = try Self.say(targets, command)
                    #expect(words[0] == words[1], "\(command)")
                }
                for i in targets.indices { targets[i].user = "root:pw" }
                var said = 0
                for (arguments, input) in commands {
                    let words = try Self.say(targets, arguments, input).map(comparable)
                    #expect(words[0] == words[1], "\(arguments.joined(separator: " "))")
                    if !words[1].isEmpty { said += 1 }
                }
                // Few say nothing at all: a deletion's wait, a key that is not there.
                #expect(said > commands.count * 3 / 4, "\(said) of \(commands.count) said something")
                for target in targets { target.process.stop() }
            }
        }
    }
}
