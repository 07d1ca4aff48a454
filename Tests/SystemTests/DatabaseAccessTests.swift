import DroverClient
import EtcdAPI
import Foundation
import TestSupport
import Testing

extension SystemTests {
    /// How a database server is reached: encrypted, and with passwords from where its users keep them.
    @Suite("encrypted connections to the database, and passwords")
    struct DatabaseAccess {
        /// Starts drover, writes and reads a key, and stops it.
        private func expectServes(_ endpoint: String, _ directory: String, environment: [String: String] = [:])
            async throws
        {
            let server = try await TestServer.drover(directory: directory, endpoint: endpoint, environment: environment)
            let connection = try await server.connect()
            try await put(connection, "a", "1")
            #expect(try await get(connection, "a").kvs.count == 1)
            server.process.stop()
        }

        private func refusal(
            _ endpoint: String,
            _ environment: [String: String] = [:],
            arguments: [String] = []
        ) throws -> String {
            let result = try run(
                droverExecutable(),
                ["serve", "--endpoint", endpoint, "--listen-address", "127.0.0.1:\(freePort())"] + arguments,
                environment: environment
            )
            #expect(result.status != 0)
            return result.error
        }

        @Test("PostgreSQL over TLS: the certificate is checked", .enabled(if: Engine.selected.contains(.postgres)))
        func encryptedPostgreSQL() async throws {
            try await withTemporaryDirectory { directory in
                chmod(directory, 0o755)
                let certificates = try TestCertificates("\(directory)/tls")
                let home = "\(directory)/pg"
                let server = try PostgreSQLServer(
                    directory: home,
                    settings: ["ssl=on", "ssl_cert_file=\(home)/server.pem", "ssl_key_file=\(home)/server.key"]
                )
                try certificates.give(to: server)
                try server.start()
                defer { server.kill() }
                // Nothing but TLS is let in.
                let rules = "\(home)/data/pg_hba.conf"
                try "local all all trust\nhostssl all all 127.0.0.1/32 trust\n".write(
                    toFile: rules,
                    atomically: false,
                    encoding: .utf8
                )
                try ServerUserAccess.own(rules)
                try server.reload()
                let base = server.endpoint(database: "tls").replacingOccurrences(of: "?sslmode=disable", with: "")
                try await expectServes("\(base)?sslmode=require", directory)
                try await expectServes("\(base)?sslmode=verify-full&sslrootcert=\(certificates.authority)", directory)
                try await expectServes("\(base)?sslmode=verify-ca&sslrootcert=\(certificates.authority)", directory)
                #expect(try refusal("\(base)?sslmode=disable").contains("pg_hba"))
                let stranger = try refusal("\(base)?sslmode=verify-full&sslrootcert=\(certificates.stranger)")
                #expect(stranger.contains("certificate verify failed"), "\(stranger)")
                let name = base.replacingOccurrences(of: "127.0.0.1", with: "localhost")
                let other = try refusal("\(name)?sslmode=verify-full&sslrootcert=\(certificates.authority)")
                #expect(other.contains("does not match host name") || other.contains("localhost"), "\(other)")
                // The authority alone is checked.
                try await expectServes("\(name)?sslmode=verify-ca&sslrootcert=\(certificates.authority)", directory)
                // kine's flag in place of the parameter.
                let flagged = try await TestServer.drover(
                    directory: directory,
                    endpoint: base,
                    arguments: ["--ca-file", certificates.authority]
                )
                flagged.process.stop()
            }
        }

        @Test("MariaDB over TLS: the certificate is checked", .enabled(if: Engine.selected.contains(.mariadb)))
        func encryptedMariaDB() async throws {
            try await withTemporaryDirectory { directory in
                chmod(directory, 0o755)
                let certificates = try TestCertificates("\(directory)/tls")
                let home = "\(directory)/my"
                let server = try MariaDBServer(
                    directory: home,
                    settings: ["ssl-cert=\(home)/server.pem", "ssl-key=\(home)/server.key"]
                )
                try certificates.give(to: server)
                try server.start()
                defer { server.kill() }
                try server.sql(
                    "CREATE USER tls@'127.0.0.1' IDENTIFIED BY 'pw' REQUIRE SSL; GRANT ALL ON tls.* TO tls@'127.0.0.1'",
                    database: nil
                )
                let base = "mysql://tls:pw@127.0.0.1:\(server.port)/tls"
                try await expectServes("\(base)?ssl-mode=REQUIRED", directory)
                try await expectServes("mysql://tls:pw@tcp(127.0.0.1:\(server.port))/tls?tls=skip-verify", directory)
                try await expectServes("\(base)?ssl-mode=VERIFY_IDENTITY&ssl-ca=\(certificates.authority)", directory)
                #expect(try refusal(base).contains("password"))
                let stranger = try refusal("\(base)?ssl-mode=VERIFY_IDENTITY&ssl-ca=\(certificates.stranger)")
                #expect(stranger.contains("certificate") || stranger.contains("SSL"), "\(stranger)")
                // The certificate is of another name, though the server is the same.
                let named = base.replacingOccurrences(of: "127.0.0.1", with: "localhost")
                let other = try refusal("\(named)?ssl-mode=VERIFY_IDENTITY&ssl-ca=\(certificates.authority)")
                #expect(other.contains("certificate") || other.contains("SSL"), "\(other)")
                try await expectServes("\(named)?ssl-mode=REQUIRED", directory)
                let flagged = try await TestServer.drover(
                    directory: directory,
                    endpoint: base,
                    arguments: ["--ca-file", certificates.authority]
                )
                flagged.process.stop()
                // What the endpoint says is done, whatever else is there for TLS.
                let plain = try refusal("\(base)?ssl-mode=DISABLED", arguments: ["--ca-file", certificates.authority])
                #expect(plain.contains("password"), "\(plain)")
                try await expectServes("mysql://root@unix(\(home)/socket)/sockets", directory)
                // A server that has none is not spoken to in the clear.
                let bare = try MariaDBServer(directory: "\(directory)/bare")
                try bare.start()
                defer { bare.kill() }
                let open = "mysql://root@127.0.0.1:\(bare.port)/open"
                #expect(try refusal("\(open)?ssl-mode=REQUIRED").contains("offers no TLS"))
                #expect(try refusal("mysql://root@tcp(127.0.0.1:\(bare.port))/open?tls=skip-verify").contains("TLS"))
                try await expectServes("\(open)?ssl-mode=DISABLED", directory)
            }
        }

        @Test("a database server that asks for certificates of its clients", arguments: Engine.shared)
        func clientCertificates(engine: Engine) async throws {
            try await withTemporaryDirectory { directory in
                chmod(directory, 0o755)
                let certificates = try TestCertificates("\(directory)/tls")
                let home = "\(directory)/server"
                let server: any DatabaseServer =
                    engine == .postgres
                    ? try PostgreSQLServer(
                        directory: home,
                        settings: [
                            "ssl=on", "ssl_cert_file=\(home)/server.pem", "ssl_key_file=\(home)/server.key",
                            "ssl_ca_file=\(home)/ca.pem",
                        ]
                    )
                    : try MariaDBServer(
                        directory: home,
                        settings: [
                            "ssl-cert=\(home)/server.pem", "ssl-key=\(home)/server.key", "ssl-ca=\(home)/ca.pem",
                        ]
                    )
                try certificates.give(to: server)
                try server.start()
                defer { server.kill() }
                // The certificate's name is the user's.
                let base: String
                var (authority, certificate, key) = ("ssl-ca", "ssl-cert", "ssl-key")
                if engine == .postgres {
                    try server.sql("CREATE ROLE u LOGIN CREATEDB", database: nil)
                    let rules = "\(home)/data/pg_hba.conf"
                    try "local all all trust\nhostssl all u 127.0.0.1/32 cert\nhost all postgres 127.0.0.1/32 trust\n"
                        .write(
                            toFile: rules,
                            atomically: false,
                            encoding: .utf8
                        )
                    try (server as? PostgreSQLServer)?.reload()
                    base = "postgres://u@127.0.0.1:\(server.port)/certified?sslmode=verify-full"
                    (authority, certificate, key) = ("sslrootcert", "sslcert", "sslkey")
                } else {
                    try server.sql(
                        "CREATE USER u@'127.0.0.1' REQUIRE SUBJECT '/CN=u'; GRANT ALL ON certified.* TO u@'127.0.0.1'",
                        database: nil
                    )
                    base = "mysql://u@127.0.0.1:\(server.port)/certified?ssl-mode=VERIFY_IDENTITY"
                }
                func endpoint(_ name: String) -> String {
                    "\(base)&\(authority)=\(certificates.authority)&\(certificate)=\(certificates.path("\(name).pem"))&\(key)=\(certificates.path("\(name).key"))"
                }
                for name in ["u", "nobody", "foreign"] { chmod(certificates.path("\(name).key"), 0o600) }
                try await expectServes(endpoint("u"), directory)
                let none = try refusal("\(base)&\(authority)=\(certificates.authority)")
                #expect(none.contains("certificate") || none.contains("password"), "\(none)")
                for name in ["nobody", "foreign"] {
                    let refused = try refusal(endpoint(name))
                    #expect(
                        refused.contains("certificate") || refused.contains("password")
                            || refused.contains("unknown ca"),
                        "\(name): \(refused)"
                    )
                }
                // kine's flags in place of the parameters.
                let flagged = try await TestServer.drover(
                    directory: directory,
                    endpoint: base.replacingOccurrences(of: "?sslmode=verify-full", with: "")
                        .replacingOccurrences(of: "?ssl-mode=VERIFY_IDENTITY", with: ""),
                    arguments: [
                        "--ca-file", certificates.authority, "--cert-file", certificates.path("u.pem"), "--key-file",
                        certificates.path("u.key"),
                    ]
                )
                try await put(try await flagged.connect(), "b", "1")
                flagged.process.stop()
            }
        }

        @Test(
            "PostgreSQL's passwords: in the endpoint, the environment, and the password file",
            .enabled(if: Engine.selected.contains(.postgres))
        )
        func passwords() async throws {
            try await withTemporaryDirectory { directory in
                chmod(directory, 0o755)
                let server = try PostgreSQLServer(directory: "\(directory)/pg")
                try server.start()
                defer { server.kill() }
                try server.sql("CREATE ROLE app LOGIN CREATEDB PASSWORD 'p @ss'", database: nil)
                let rules = "\(directory)/pg/data/pg_hba.conf"
                let text =
                    "host all app 127.0.0.1/32 scram-sha-256\n" + (try String(contentsOfFile: rules, encoding: .utf8))
                try text.write(toFile: rules, atomically: false, encoding: .utf8)
                try server.reload()
                let port = server.port
                let base = "postgres://app@127.0.0.1:\(port)/pw?sslmode=disable"
                #expect(try refusal(base).contains("password"))
                try await expectServes("postgres://app:p%20%40ss@127.0.0.1:\(port)/pw?sslmode=disable", directory)
                try await expectServes(base, directory, environment: ["PGPASSWORD": "p @ss"])
                let file = "\(directory)/pgpass"
                try "127.0.0.1:\(port):*:app:p @ss\n".write(toFile: file, atomically: true, encoding: .utf8)
                chmod(file, 0o600)
                try await expectServes(base, directory, environment: ["PGPASSFILE": file])
                try await expectServes("\(base)&passfile=\(file)", directory)
                // The user's own, where libpq looks for it by itself.
                try FileManager.default.createDirectory(atPath: "\(directory)/home", withIntermediateDirectories: true)
                _ = try run("/bin/cp", ["-p", file, "\(directory)/home/.pgpass"])
                try await expectServes(base, directory, environment: ["HOME": "\(directory)/home"])
                // Others may read it: libpq leaves it alone.
                chmod("\(directory)/home/.pgpass", 0o644)
                #expect(try refusal(base, ["HOME": "\(directory)/home"]).contains("password"))
                // The socket's directory, in both forms of a URL and as a pair.
                let socket = "\(directory)/pg"
                let escaped = socket.replacingOccurrences(of: "/", with: "%2F")
                for endpoint in [
                    "postgres://app@\(escaped):\(port)/sockets",
                    "postgres:///sockets?host=\(socket)&port=\(port)&user=app",
                    "host=\(socket) port=\(port) user=app dbname=sockets",
                ] {
                    try await expectServes(endpoint, directory)
                }
                // Pairs, with quoting of their own.
                try await expectServes(
                    "host=127.0.0.1 port=\(port) user=app password='p @ss' dbname=pw sslmode=disable",
                    directory
                )
                try await expectServes(
                    "dbname=pw sslmode=disable",
                    directory,
                    environment: ["PGHOST": "127.0.0.1", "PGPORT": "\(port)", "PGUSER": "app", "PGPASSWORD": "p @ss"]
                )
                // The database too, from the environment and from a service.
                try await expectServes(
                    "user=app host=127.0.0.1 port=\(port) sslmode=disable",
                    directory,
                    environment: ["PGDATABASE": "fromenvironment", "PGPASSWORD": "p @ss"]
                )
                try server.sql("CREATE DATABASE fromservice OWNER app", database: nil)
                let services = "\(directory)/services"
                try "[mine]\nhost=127.0.0.1\nport=\(port)\nuser=app\npassword=p @ss\ndbname=fromservice\n".write(
                    toFile: services,
                    atomically: true,
                    encoding: .utf8
                )
                try await expectServes(
                    "service=mine sslmode=disable",
                    directory,
                    environment: ["PGSERVICEFILE": services]
                )
                for database in ["fromenvironment", "fromservice"] {
                    let count = try server.sql("SELECT count(*) FROM drover_current", database: database)
                    #expect(count.contains("1"), "\(database): \(count)")
                }
            }
        }
    }
}

extension TestCertificates {
    var authority: String { path("ca.pem") }
    var stranger: String { path("stranger.pem") }
    var certificate: String { path("server.pem") }
    var key: String { path("server.key") }

    /// For the server's user to read.
    func give(to server: any DatabaseServer) throws {
        let data = (server as? PostgreSQLServer)?.directory ?? (server as? MariaDBServer)?.directory ?? ""
        for file in [certificate, key, authority] {
            _ = try run("/bin/cp", [file, data])
            _ = try run(
                "/bin/chown",
                ["--reference=\(data)/data", "\(data)/\(URL(fileURLWithPath: file).lastPathComponent)"]
            )
        }
        _ = try run("/bin/chmod", ["600", "\(data)/server.key"])
    }
}
