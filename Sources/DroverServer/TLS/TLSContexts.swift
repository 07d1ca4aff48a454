import Drover
import DroverTLS
import Logging
import NIOSSL
import Synchronization

#if canImport(Glibc)
    import Glibc
#elseif canImport(Musl)
    import Musl
#elseif canImport(Darwin)
    import Darwin
#endif

/// What new connections are encrypted with: made anew when the files have changed, so that certificates are renewed
/// without a restart.
final class TLSContexts: Sendable {
    /// How often the files are looked at, in nanoseconds.
    private static let lookInterval: Int64 = 1_000_000_000

    private struct State {
        var context: NIOSSLContext
        var stamp: [Int64]
        var lookedAt: Int64
    }

    private let tls: ServerTLS
    private let logger: Logger
    private let state: Mutex<State>

    /// - Throws: ``DroverError`` with ``DroverError/Code/badEndpoint`` when the files cannot be used.
    init(_ tls: ServerTLS, logger: Logger) throws {
        self.tls = tls
        self.logger = logger
        let stamp = Self.stamp(tls)
        state = Mutex(State(context: try Self.make(tls), stamp: stamp, lookedAt: MonotonicClock.nanoseconds()))
    }

    /// The context for a new connection.
    var current: NIOSSLContext {
        state.withLock { state in
            let now = MonotonicClock.nanoseconds()
            if now - state.lookedAt < Self.lookInterval { return state.context }
            state.lookedAt = now
            let stamp = Self.stamp(tls)
            if stamp == state.stamp { return state.context }
            do {
                state.context = try Self.make(tls)
                state.stamp = stamp
                logger.notice("the certificate of the client port was loaded anew")
            } catch {
                // Its parts may not have been replaced yet: the old one goes on until they have.
                logger.warning(
                    "the changed certificate of the client port cannot be used; the old one is kept",
                    metadata: ["reason": "\(error)"]
                )
            }
            return state.context
        }
    }

    /// Changes when any of the files does.
    private static func stamp(_ tls: ServerTLS) -> [Int64] {
        [tls.certificateFile, tls.keyFile, tls.trustedFile].flatMap { path -> [Int64] in
            var status = stat()
            guard let path, stat(path, &status) == 0 else { return [0] }
            #if canImport(Darwin)
                let time = status.st_mtimespec
            #else
                let time = status.st_mtim
            #endif
            return [Int64(status.st_ino), Int64(status.st_size), Int64(time.tv_sec), Int64(time.tv_nsec)]
        }
    }

    /// Suites of TLS 1.2 with forward secrecy, by the names that etcd's flag has.
    private static let ciphers: [String: NIOTLSCipher] = [
        "TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256": .TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256,
        "TLS_ECDHE_ECDSA_WITH_AES_256_GCM_SHA384": .TLS_ECDHE_ECDSA_WITH_AES_256_GCM_SHA384,
        "TLS_ECDHE_ECDSA_WITH_CHACHA20_POLY1305_SHA256": .TLS_ECDHE_ECDSA_WITH_CHACHA20_POLY1305_SHA256,
        "TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256": .TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256,
        "TLS_ECDHE_RSA_WITH_AES_256_GCM_SHA384": .TLS_ECDHE_RSA_WITH_AES_256_GCM_SHA384,
        "TLS_ECDHE_RSA_WITH_CHACHA20_POLY1305_SHA256": .TLS_ECDHE_RSA_WITH_CHACHA20_POLY1305_SHA256,
        // As they were called before.
        "TLS_ECDHE_ECDSA_WITH_CHACHA20_POLY1305": .TLS_ECDHE_ECDSA_WITH_CHACHA20_POLY1305_SHA256,
        "TLS_ECDHE_RSA_WITH_CHACHA20_POLY1305": .TLS_ECDHE_RSA_WITH_CHACHA20_POLY1305_SHA256,
    ]

    /// Those of TLS 1.3, which are always on, as in Go: to name them changes nothing.
    private static let alwaysOn: Set<String> = [
        "TLS_AES_128_GCM_SHA256", "TLS_AES_256_GCM_SHA384", "TLS_CHACHA20_POLY1305_SHA256",
    ]

    private static func cipher(_ name: String) throws -> NIOTLSCipher {
        guard let cipher = ciphers[name] else {
            throw DroverError(
                .badEndpoint,
                message:
                    "drover: a cipher suite is not known, or not safe; known are \(ciphers.keys.sorted().joined(separator: ", "))"
            )
        }
        return cipher
    }

    /// What clients' certificates may be signed with: what BoringSSL takes by itself, and the two kinds of keys that Go's
    /// programs take besides.
    private static let clientSignatures: [SignatureAlgorithm] = [
        .ecdsaSecp256R1Sha256, .rsaPssRsaeSha256, .rsaPkcs1Sha256, .ecdsaSecp384R1Sha384, .rsaPssRsaeSha384,
        .rsaPkcs1Sha384, .rsaPssRsaeSha512, .rsaPkcs1Sha512, .rsaPkcs1Sha1, .ed25519, .ecdsaSecp521R1Sha512,
    ]

    private static func make(_ tls: ServerTLS) throws -> NIOSSLContext {
        func loading<R>(_ what: StaticString, _ body: () throws -> R) throws -> R {
            do {
                return try body()
            } catch {
                throw DroverError(
                    .badEndpoint,
                    message: "drover: \(what) cannot be used; it must be a readable file in PEM form",
                    cause: error
                )
            }
        }
        let chain = try loading("the server's certificate") { try NIOSSLCertificate.fromPEMFile(tls.certificateFile) }
        let key = try loading("the key of the server's certificate") {
            try NIOSSLPrivateKey(file: tls.keyFile, format: .pem)
        }
        var configuration = TLSConfiguration.makeServerConfiguration(
            certificateChain: chain.map { .certificate($0) },
            privateKey: .privateKey(key)
        )
        configuration.applicationProtocols = ["h2", "http/1.1"]
        configuration.minimumTLSVersion = tls.minimumVersion == .tls13 ? .tlsv13 : .tlsv12
        let suites = tls.cipherSuites.filter { !alwaysOn.contains($0) }
        // Where those of TLS 1.3 alone are named, as in Go nothing is left for 1.2.
        if !tls.cipherSuites.isEmpty && suites.isEmpty { configuration.minimumTLSVersion = .tlsv13 }
        if !suites.isEmpty { configuration.cipherSuiteValues = try suites.map(cipher) }
        if let trusted = tls.trustedFile {
            let roots = try loading("the file of trusted certificates") {
                try TrustAnchors.load(trusted, proving: .clients)
            }
            configuration.trustRoots = .certificates(roots)
            configuration.certificateVerification = .noHostnameVerification
            configuration.verifySignatureAlgorithms = clientSignatures
        }
        return try loading("the certificate with its key, or the cipher suites,") {
            try NIOSSLContext(configuration: configuration)
        }
    }
}
