import ArgumentParser
import DroverServer

#if canImport(Glibc)
    import Glibc
#elseif canImport(Musl)
    import Musl
#elseif canImport(Darwin)
    import Darwin
#endif

/// TLS on the client port, and how clients say who they are.
struct ServerSecurityOptions: ParsableArguments {
    @Option(
        name: .customLong("server-cert-file"),
        help: "The certificate of the client port (PEM); with it, the port speaks TLS. kine: --server-cert-file."
    )
    private var givenServerCertFile: String?
    var serverCertFile: String? { givenServerCertFile ?? Environment.value("SERVER_CERT_FILE") }

    @Option(name: .customLong("server-key-file"), help: "The key of that certificate (PEM).")
    private var givenServerKeyFile: String?
    var serverKeyFile: String? { givenServerKeyFile ?? Environment.value("SERVER_KEY_FILE") }

    @Option(
        name: .customLong("trusted-ca-file"),
        help: "Certificates that clients' must come from (PEM); clients must then show one."
    )
    private var givenTrustedCaFile: String?
    var trustedCaFile: String? { givenTrustedCaFile ?? Environment.value("TRUSTED_CA_FILE") }

    @Flag(
        inversion: .prefixedNo,
        help: "Take the common name of a client's certificate for its user, when auth is enabled."
    )
    var clientCertAuth = Environment.flag("CLIENT_CERT_AUTH")

    @Option(help: "The lowest version of TLS on the client port: TLS1.2 or TLS1.3.")
    var tlsMinVersion: String = Environment.value("TLS_MIN_VERSION") ?? "TLS1.2"

    @Option(help: "Cipher suites of TLS 1.2, such as TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256, divided by commas.")
    var cipherSuites: String = Environment.value("CIPHER_SUITES") ?? ""

    @Option(help: "Seconds for which an unused token of auth is good.")
    var authTokenTtl: Int = Environment.integer("AUTH_TOKEN_TTL") ?? 300

    @Option(
        help:
            "How tokens are made: simple, or jwt,pub-key=FILE,priv-key=FILE,sign-method=RS256,ttl=5m (RS, PS, ES, EdDSA, HS)."
    )
    var authToken: String = Environment.value("AUTH_TOKEN") ?? "simple"

    @Option(help: "Hosts that requests of HTTP may name in cleartext, divided by commas; a star is any.")
    var hostWhitelist: String = Environment.value("HOST_WHITELIST") ?? "*"

    @Option(help: "Origins whose pages may ask, divided by commas; a star is any.")
    var cors: String = Environment.value("CORS") ?? "*"

    func validate() throws {
        guard (serverCertFile == nil) == (serverKeyFile == nil) else {
            throw ValidationError("--server-cert-file and --server-key-file go together.")
        }
        if serverCertFile == nil && (trustedCaFile != nil || clientCertAuth) {
            throw ValidationError("--trusted-ca-file and --client-cert-auth need --server-cert-file and its key.")
        }
        if clientCertAuth && trustedCaFile == nil {
            throw ValidationError("--client-cert-auth needs --trusted-ca-file: whose certificates are to be believed?")
        }
        guard ServerTLS.Version(rawValue: tlsMinVersion) != nil else {
            throw ValidationError("--tls-min-version must be TLS1.2 or TLS1.3.")
        }
        _ = try jwt()
        guard (1...1_000_000_000).contains(authTokenTtl) else {
            throw ValidationError("--auth-token-ttl must be between 1 and 1000000000 seconds.")
        }
    }

    /// Tokens that carry their claims; nil is our own.
    func jwt() throws -> JWTAuthority? {
        let parts = authToken.split(separator: ",").map(String.init)
        if parts == ["simple"] { return nil }
        guard parts.first == "jwt" else { throw ValidationError("--auth-token must be simple, or begin with jwt,.") }
        var settings: [String: String] = [:]
        for part in parts.dropFirst() {
            let pair = part.split(separator: "=", maxSplits: 1).map(String.init)
            guard pair.count == 2, ["pub-key", "priv-key", "sign-method", "ttl"].contains(pair[0]) else {
                throw ValidationError("--auth-token jwt takes pub-key, priv-key, sign-method and ttl.")
            }
            settings[pair[0]] = pair[1]
        }
        guard let method = settings["sign-method"].flatMap(JWTAuthority.Method.init) else {
            let known = JWTAuthority.Method.allCases.map(\.rawValue).joined(separator: ", ")
            throw ValidationError("--auth-token jwt needs sign-method, one of \(known).")
        }
        guard let seconds = Duration.seconds(of: settings["ttl"] ?? "5m"), (1...1e9).contains(seconds) else {
            throw ValidationError("--auth-token: ttl must be a duration from a second to 1e9 seconds, such as 5m.")
        }
        return try JWTAuthority(
            method,
            publicKey: try settings["pub-key"].map(Self.contents),
            privateKey: try settings["priv-key"].map(Self.contents),
            secondsToLive: Int64(seconds)
        )
    }

    private static func contents(_ path: String) throws -> [UInt8] {
        guard let file = fopen(path, "rb") else {
            throw ValidationError("--auth-token: a key's file cannot be read.")
        }
        defer { fclose(file) }
        var bytes = [UInt8](repeating: 0, count: 64 << 10)
        let count = fread(&bytes, 1, bytes.count, file)
        return Array(bytes.prefix(count))
    }

    /// TLS on the client port; nil is cleartext.
    var tls: ServerTLS? {
        guard let serverCertFile, let serverKeyFile else { return nil }
        var tls = ServerTLS(certificateFile: serverCertFile, keyFile: serverKeyFile)
        tls.trustedFile = trustedCaFile
        tls.authenticatesUsers = clientCertAuth
        tls.minimumVersion = ServerTLS.Version(rawValue: tlsMinVersion)!
        tls.cipherSuites = cipherSuites.split(separator: ",").map(String.init)
        return tls
    }
}
