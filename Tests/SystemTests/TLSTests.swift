import DroverClient
import EtcdAPI
import Foundation
import TestSupport
import Testing

extension SystemTests {
    /// TLS on the client port, with the clients that people have.
    @Suite("TLS on the client port")
    struct ClientTLS {
        /// A server that speaks TLS, found by its own health path.
        private func start(
            _ directory: String,
            _ certificates: TestCertificates,
            _ arguments: [String] = [],
            client: String? = nil
        ) async throws -> (port: Int, process: ChildProcess) {
            let port = freePort()
            let process = try ChildProcess(
                droverExecutable(),
                [
                    "serve", "--endpoint", "sqlite://\(directory)/tls.db", "--listen-address",
                    "https://127.0.0.1:\(port)", "--server-cert-file", certificates.path("server.pem"),
                    "--server-key-file", certificates.path("server.key"),
                ] + arguments,
                log: "\(directory)/drover.log"
            )
            for _ in 0..<500 {
                if try curl(port, certificates, client: client).output.contains("true") { return (port, process) }
                try await Task.sleep(nanoseconds: 20_000_000)
            }
            throw ServerFailure("the server did not start: \(process.log)")
        }

        private func curl(
            _ port: Int,
            _ certificates: TestCertificates,
            authority: String = "ca",
            client: String? = nil,
            _ extra: [String] = []
        ) throws -> (status: Int32, output: String, error: String) {
            var arguments = ["-sS", "--max-time", "5", "--cacert", certificates.path("\(authority).pem")]
            if let client {
                arguments += [
                    "--cert", certificates.path("\(client).pem"), "--key", certificates.path("\(client).key"),
                ]
            }
            let result = try run(
                try #require(find("curl")),
                arguments + extra + ["https://127.0.0.1:\(port)/health"]
            )
            return (result.status, result.output, result.error)
        }

        private func etcdctl(
            _ port: Int,
            _ certificates: TestCertificates,
            client: String? = nil,
            _ arguments: [String]
        ) throws -> (status: Int32, output: String, error: String) {
            var environment = [
                "ETCDCTL_API": "3", "ETCDCTL_ENDPOINTS": "https://127.0.0.1:\(port)",
                "ETCDCTL_CACERT": certificates.path("ca.pem"), "ETCDCTL_DIAL_TIMEOUT": "3s",
                "ETCDCTL_COMMAND_TIMEOUT": "5s",
            ]
            if let client {
                environment["ETCDCTL_CERT"] = certificates.path("\(client).pem")
                environment["ETCDCTL_KEY"] = certificates.path("\(client).key")
            }
            let result = try run(try #require(find("etcdctl")), arguments, environment: environment)
            return (result.status, result.output, result.error)
        }

        /// As in Go: BoringSSL by itself wants a chain to end in a certificate that is signed by itself.
        @Test("an authority in the middle is believed by itself, by the server and by the client")
        func intermediate() async throws {
            try await withTemporaryDirectory { directory in
                let certificates = try TestCertificates("\(directory)/certificates")
                let trust = ["--client-cert-auth", "--trusted-ca-file", certificates.path("middle.pem")]
                let (port, process) = try await start(directory, certificates, trust, client: "below")
                #expect(try curl(port, certificates, client: "below").output.contains("true"))
                #expect(try curl(port, certificates, client: "foreign").status != 0)
                #expect(try curl(port, certificates).status != 0)
                process.stop()
                let other = freePort()
                let second = try ChildProcess(
                    droverExecutable(),
                    [
                        "serve", "--endpoint", "sqlite://\(directory)/two.db", "--listen-address",
                        "https://127.0.0.1:\(other)", "--server-cert-file", certificates.path("below-server.pem"),
                        "--server-key-file", certificates.path("below-server.key"),
                    ],
                    log: "\(directory)/two.log"
                )
                func get(_ authority: String) throws -> Int32 {
                    let arguments = [
                        "get", "a", "--endpoints", "https://127.0.0.1:\(other)", "--cacert",
                        certificates.path("\(authority).pem"),
                    ]
                    return try run(droverExecutable(), arguments).status
                }
                var status = try get("middle")
                for _ in 0..<100 where status != 0 {
                    try await Task.sleep(nanoseconds: 50_000_000)
                    status = try get("middle")
                }
                #expect(status == 0)
                #expect(try get("stranger") != 0)
                second.stop()
            }
        }

        @Test("both versions of HTTP, and none but the right authority, version and certificate")
        func handshakes() async throws {
            try await withTemporaryDirectory { directory in
                let certificates = try TestCertificates("\(directory)/certificates")
                let (port, process) = try await start(directory, certificates, ["--tls-min-version", "TLS1.3"])
                for version in ["--http1.1", "--http2"] {
                    let reply = try curl(port, certificates, [version, "-w", " %{http_version}"])
                    #expect(reply.output.hasSuffix(version == "--http2" ? " 2" : " 1.1"), "\(reply)")
                    #expect(reply.output.contains(#""health":"true""#))
                }
                #expect(try curl(port, certificates, authority: "stranger").status != 0)
                #expect(try curl(port, certificates, ["--tls-max", "1.2"]).status != 0)
                // Cleartext is no way in.
                let plain = try run(
                    try #require(find("curl")),
                    ["-sS", "--max-time", "3", "http://127.0.0.1:\(port)/health"]
                )
                #expect(plain.status != 0)
                #expect(try etcdctl(port, certificates, ["put", "a", "1"]).output == "OK\n")
                #expect(try etcdctl(port, certificates, ["get", "a"]).output == "a\n1\n")
                process.stop()
            }
        }

        @Test("clients show a certificate of the right authority that is not over")
        func clientCertificates() async throws {
            try await withTemporaryDirectory { directory in
                let certificates = try TestCertificates("\(directory)/certificates")
                let (port, process) = try await start(
                    directory,
                    certificates,
                    ["--trusted-ca-file", certificates.path("ca.pem"), "--client-cert-auth"],
                    client: "u"
                )
                for client in [nil, "foreign", "expired"] as [String?] {
                    let reply = try curl(port, certificates, client: client)
                    #expect(reply.status != 0 && reply.output.isEmpty, "\(client ?? "none"): \(reply)")
                }
                // The name on it is the user, once users are asked for.
                for command in [
                    ["user", "add", "root:pw"], ["user", "grant-role", "root", "root"], ["user", "add", "u:pw"],
                    ["role", "add", "k"], ["role", "grant-permission", "k", "readwrite", "k"],
                    ["user", "grant-role", "u", "k"], ["auth", "enable"],
                ] {
                    let reply = try etcdctl(port, certificates, client: "nobody", command)
                    #expect(reply.status == 0, "\(command): \(reply.error)")
                }
                #expect(try etcdctl(port, certificates, client: "u", ["put", "k", "1"]).output == "OK\n")
                #expect(
                    try etcdctl(port, certificates, client: "u", ["put", "other", "1"]).error.contains(
                        "permission denied"
                    )
                )
                #expect(
                    try etcdctl(port, certificates, client: "nobody", ["get", "k"]).error.contains("permission denied")
                )
                #expect(try etcdctl(port, certificates, client: "root", ["put", "other", "1"]).output == "OK\n")
                // A password is believed before the certificate.
                let both = try etcdctl(port, certificates, client: "u", ["put", "other", "2", "--user", "root:pw"])
                #expect(both.output == "OK\n", "\(both.error)")
                // Through the gateway it says nothing.
                let gateway = try run(
                    try #require(find("curl")),
                    [
                        "-sS", "--cacert", certificates.path("ca.pem"), "--cert", certificates.path("root.pem"),
                        "--key",
                        certificates.path("root.key"), "-d", #"{"key":"aw=="}"#, "-w", "%{http_code}",
                        "https://127.0.0.1:\(port)/v3/kv/range",
                    ]
                )
                #expect(
                    gateway.output.hasSuffix("400") && gateway.output.contains("user name is empty"),
                    "\(gateway.output)"
                )
                process.stop()
            }
        }

        @Test("a changed certificate is used without a restart, and a broken one is not")
        func reloading() async throws {
            try await withTemporaryDirectory { directory in
                let certificates = try TestCertificates("\(directory)/certificates")
                let (port, process) = try await start(directory, certificates)
                func replace(_ name: String) throws {
                    for end in ["pem", "key"] {
                        let bytes = try Data(contentsOf: URL(fileURLWithPath: certificates.path("\(name).\(end)")))
                        try bytes.write(to: URL(fileURLWithPath: certificates.path("server.\(end)")))
                    }
                }
                func waitFor(_ authority: String) async throws -> Bool {
                    for _ in 0..<50 {
                        if try curl(port, certificates, authority: authority).status == 0 { return true }
                        try await Task.sleep(nanoseconds: 100_000_000)
                    }
                    return false
                }
                #expect(try await waitFor("ca"))
                try replace("server2")
                #expect(try await waitFor("stranger"))
                #expect(try curl(port, certificates).status != 0)
                try Data("nothing".utf8).write(to: URL(fileURLWithPath: certificates.path("server.pem")))
                try await Task.sleep(nanoseconds: 1_500_000_000)
                #expect(try await waitFor("stranger"))
                #expect(process.log.contains("the old one is kept"))
                process.stop()
            }
        }

        @Test("several addresses at once, with TLS and without, and metrics on one of their own")
        func addresses() async throws {
            try await withTemporaryDirectory { directory in
                let certificates = try TestCertificates("\(directory)/certificates")
                let (plain, metrics) = (freePort(), freePort())
                let socket = "/tmp/drover-\(getpid())-several.sock"
                let (port, process) = try await start(
                    directory,
                    certificates,
                    [
                        "--listen-client-urls", "http://127.0.0.1:\(plain),unix://\(socket)", "--socket-mode", "0660",
                        "--listen-metrics-urls", "http://127.0.0.1:\(metrics)",
                    ]
                )
                let curl = try #require(find("curl"))
                func ask(_ arguments: [String]) throws -> String {
                    try run(curl, ["-sS", "--max-time", "5", "-w", " %{http_code}"] + arguments).output
                }
                #expect(try etcdctl(port, certificates, ["put", "a", "1"]).output == "OK\n")
                let get = ["-d", #"{"key":"YQ=="}"#]
                let paths = [
                    ["http://127.0.0.1:\(plain)/v3/kv/range"],
                    ["--http2-prior-knowledge", "http://127.0.0.1:\(plain)/v3/kv/range"],
                    ["--unix-socket", socket, "http://drover/v3/kv/range"],
                ]
                for path in paths { #expect(try ask(path + get).contains(#""value":"MQ==""#), "\(path)") }
                var status = stat()
                #expect(stat(socket, &status) == 0 && status.st_mode & 0o777 == 0o660)
                // Members are told of what clients may use.
                let members = try etcdctl(port, certificates, ["member", "list"]).output
                #expect(
                    members.contains("https://127.0.0.1:\(port),http://127.0.0.1:\(plain),unix://\(socket)"),
                    "\(members)"
                )
                // Health and metrics, and nothing else, to clients of either version.
                for version in ["--http1.1", "--http2-prior-knowledge"] {
                    let root = "http://127.0.0.1:\(metrics)"
                    #expect(try ask([version, "\(root)/metrics"]).contains("etcd_server_has_leader 1"))
                    for path in ["health", "livez", "readyz"] {
                        #expect(try ask([version, "\(root)/\(path)"]).hasSuffix(" 200"))
                    }
                    #expect(try ask([version, "\(root)/v3/kv/range"] + get).hasSuffix(" 404"))
                    #expect(try ask([version, "\(root)/version"]).hasSuffix(" 404"))
                }
                let wire = try await EtcdConnection.connect(host: "127.0.0.1", port: metrics)
                await #expect(throws: ClientError(code: 12, message: "unknown method Put for service etcdserverpb.KV"))
                {
                    try await put(wire, "b", "1")
                }
                await wire.close()
                process.stop()
                #expect(stat(socket, &status) != 0)
            }
        }

        @Test("options that do not fit together, and files that are none, are refused in words")
        func refusals() async throws {
            try await withTemporaryDirectory { directory in
                let certificates = try TestCertificates("\(directory)/certificates")
                let key = ["--server-key-file", certificates.path("server.key")]
                let certificate = ["--server-cert-file", certificates.path("server.pem")]
                let cases: [([String], String)] = [
                    (certificate, "go together"), (["--client-cert-auth"], "--server-cert-file"),
                    (certificate + key + ["--client-cert-auth"], "--trusted-ca-file"),
                    (["--listen-address", "https://127.0.0.1:1"], "asks for TLS"),
                    (certificate + ["--server-key-file", certificates.path("u.key")], "cannot be used"),
                    (["--server-cert-file", "/nowhere"] + key, "certificate cannot be used"),
                    (certificate + key + ["--tls-min-version", "SSL3"], "TLS1.2 or TLS1.3"),
                    (certificate + key + ["--cipher-suites", "NONSENSE"], "cipher suite"),
                    (["--listen-metrics-urls", "ftp://127.0.0.1:1"], "--listen-metrics-urls must be"),
                    (["--socket-mode", "rw"], "octal"),
                ]
                for (arguments, words) in cases {
                    let result = try run(
                        droverExecutable(),
                        ["serve", "--endpoint", "sqlite://\(directory)/x.db"]
                            + (arguments.contains("--listen-address")
                                ? [] : ["--listen-address", "127.0.0.1:\(freePort())"])
                            + arguments,
                        timeout: 20
                    )
                    #expect(result.status != 0 && result.error.contains(words), "\(arguments): \(result.error)")
                }
            }
        }
    }
}
