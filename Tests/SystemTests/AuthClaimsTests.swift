import DroverClient
import EtcdAPI
import Foundation
import TestSupport
import Testing

extension SystemTests.Auth {
    @Test("tokens that carry their claims", arguments: ["RS256", "PS512", "ES256", "ES384", "ES512", "EdDSA", "HS256"])
    func claims(method: String) async throws {
        try await withTemporaryDirectory { directory in
            func openssl(_ arguments: String) throws {
                let program = try #require(find("openssl"), "there is no openssl; `make test` installs it")
                let result = try run(program, arguments.split(separator: " ").map(String.init))
                #expect(result.status == 0, "\(result.error)")
            }
            func keys(_ name: String) throws -> (secret: String, known: String) {
                let (secret, known) = ("\(directory)/\(name).key", "\(directory)/\(name).pub")
                switch method {
                case "HS256":
                    try "a secret of \(name)".write(toFile: secret, atomically: true, encoding: .utf8)
                    return (secret, secret)
                case "ES256": try openssl("genpkey -algorithm EC -pkeyopt ec_paramgen_curve:P-256 -out \(secret)")
                case "ES384": try openssl("genpkey -algorithm EC -pkeyopt ec_paramgen_curve:P-384 -out \(secret)")
                case "ES512": try openssl("genpkey -algorithm EC -pkeyopt ec_paramgen_curve:P-521 -out \(secret)")
                case "EdDSA": try openssl("genpkey -algorithm ED25519 -out \(secret)")
                default: try openssl("genpkey -algorithm RSA -pkeyopt rsa_keygen_bits:2048 -out \(secret)")
                }
                try openssl("pkey -in \(secret) -pubout -out \(known)")
                return (secret, known)
            }
            let (own, other) = (try keys("own"), try keys("other"))
            func option(_ keys: (secret: String, known: String), ttl: String) -> [String] {
                ["--auth-token", "jwt,pub-key=\(keys.known),priv-key=\(keys.secret),sign-method=\(method),ttl=\(ttl)"]
            }
            let (server, connection) = try await secured(
                directory,
                arguments: option(own, ttl: method == "ES256" ? "8s" : "60s")
            )
            let good = try await token(connection, "u", "pw-u")
            #expect(good.split(separator: ".").count == 3)
            #expect(try await range(connection, "k", good).header.revision > 0)
            let refused = ClientError(code: 16, message: "etcdserver: invalid auth token")
            // Another's key, another method, none at all, and a changed claim.
            let (foreign, foreigner) = try await secured(
                "\(directory)",
                .sqlite,
                arguments: option(other, ttl: "60s"),
                name: "other.db"
            )
            let strange = try await token(foreigner, "root", "pw")
            let parts = good.split(separator: ".").map(String.init)
            let unsigned = "eyJhbGciOiJub25lIn0.\(parts[1])."
            for wrong in [
                strange, unsigned, "\(parts[0]).\(parts[1])A.\(parts[2])", "\(parts[0]).\(parts[1])", "..", good + "A",
            ] {
                await #expect(throws: refused, "\(wrong.prefix(30))") { _ = try await range(connection, "k", wrong) }
            }
            // What changes auth makes it old, and time ends it.
            let root = try await token(connection, "root", "pw")
            let _: PBAuthRoleAddResponse = try await connection.unary(
                "/etcdserverpb.Auth/RoleAdd",
                PBAuthRoleAddRequest.with { $0.name = "more" },
                metadata: [("token", root)]
            )
            await #expect(throws: ClientError(code: 3, message: "etcdserver: revision of auth store is old")) {
                _ = try await range(connection, "k", good)
            }
            let fresh = try await token(connection, "u", "pw-u")
            if method == "ES256" {
                // Use does not make it live longer.
                for _ in 0..<9 {
                    _ = try? await range(connection, "k", fresh)
                    try await Task.sleep(nanoseconds: 1_000_000_000)
                }
                await #expect(throws: refused) { _ = try await range(connection, "k", fresh) }
            }
            server.process.stop()
            foreign.process.stop()
        }
    }
}
