import DroverTLS
package import NIOSSL

/// How a client encrypts, whom it believes, and who it says it is.
public struct ClientTLS: Sendable, Hashable {
    /// The certificates that the server's must come from, in PEM; the system's own when nil.
    public var trustedFile: String?
    /// The client's own certificate, in PEM.
    public var certificateFile: String?
    /// The key of that certificate, in PEM.
    public var keyFile: String?
    /// Whether any certificate will do: for tests alone, since anyone could then be the server. Default false.
    public var acceptsAnyCertificate = false

    /// Encryption with what the system trusts.
    public init() {}

    /// - Throws: ``ClientError`` with code 3 when a file cannot be used.
    package func context() throws -> NIOSSLContext {
        var configuration = TLSConfiguration.makeClientConfiguration()
        configuration.applicationProtocols = ["h2"]
        configuration.minimumTLSVersion = .tlsv12
        do {
            if let trustedFile {
                configuration.trustRoots = .certificates(try TrustAnchors.load(trustedFile, proving: .servers))
            }
            if let certificateFile, let keyFile {
                configuration.certificateChain = try NIOSSLCertificate.fromPEMFile(certificateFile)
                    .map { .certificate($0) }
                configuration.privateKey = .privateKey(try NIOSSLPrivateKey(file: keyFile, format: .pem))
            }
            if acceptsAnyCertificate { configuration.certificateVerification = .none }
            return try NIOSSLContext(configuration: configuration)
        } catch {
            throw ClientError(
                code: 3,
                message: "the files of TLS cannot be used; each must be a readable file in PEM form: \(error)"
            )
        }
    }
}
