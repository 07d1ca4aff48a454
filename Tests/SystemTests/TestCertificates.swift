import Foundation
import TestSupport
import Testing

/// Certificates for tests: two authorities, servers and clients, good and expired.
struct TestCertificates {
    let directory: String

    init(_ directory: String) throws {
        self.directory = directory
        try FileManager.default.createDirectory(atPath: directory, withIntermediateDirectories: true)
        for name in ["ca", "stranger"] {
            try openssl(
                "req -x509 -newkey rsa:2048 -nodes -days 30 -subj /CN=\(name) -keyout \(directory)/\(name).key -out \(directory)/\(name).pem"
            )
        }
        for name in ["server", "server2"] {
            try sign(name, by: name == "server" ? "ca" : "stranger", subject: "127.0.0.1")
        }
        for name in ["root", "u", "nobody"] { try sign(name, by: "ca", subject: name) }
        try sign("foreign", by: "stranger", subject: "root")
        try sign("expired", by: "ca", subject: "root", longAgo: true)
        // An authority that "ca" has made, and what it has signed.
        try sign("middle", by: "ca", subject: "middle", extensions: "basicConstraints=critical,CA:true")
        for name in ["below", "below-server"] {
            try sign(name, by: "middle", subject: name == "below" ? "u" : "127.0.0.1")
        }
    }

    func path(_ name: String) -> String { "\(directory)/\(name)" }

    private func openssl(_ arguments: String, environment: [String: String] = [:]) throws {
        let program = try #require(find("openssl"), "there is no openssl; `make test` installs it")
        let result = try run(program, arguments.split(separator: " ").map(String.init), environment: environment)
        if result.status != 0 { throw ServerFailure("openssl: \(result.error)") }
    }

    private func sign(
        _ name: String,
        by authority: String,
        subject: String,
        longAgo: Bool = false,
        extensions: String = "subjectAltName=IP:127.0.0.1"
    ) throws {
        try openssl(
            "req -newkey rsa:2048 -nodes -subj /CN=\(subject) -keyout \(path(name)).key -out \(path(name)).csr"
        )
        try extensions.write(toFile: path("ext"), atomically: true, encoding: .utf8)
        var environment: [String: String] = [:]
        if longAgo {
            environment = try Faketime.environment("-20d")
        }
        try openssl(
            "x509 -req -in \(path(name)).csr -CA \(path(authority)).pem -CAkey \(path(authority)).key -CAcreateserial -days 10 -extfile \(path("ext")) -out \(path(name)).pem",
            environment: environment
        )
    }
}
