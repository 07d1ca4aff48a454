/// TLS on the client port.
public struct ServerTLS: Sendable, Hashable {
    /// The lowest version that is spoken.
    public enum Version: String, Sendable, Hashable, CaseIterable {
        case tls12 = "TLS1.2"
        case tls13 = "TLS1.3"
    }

    /// The file of the certificate, with those between it and its root, in PEM.
    public var certificateFile: String
    /// The file of its key, in PEM.
    public var keyFile: String
    /// The file of the certificates that clients' must come from, in PEM: clients must then show one.
    public var trustedFile: String?
    /// Whether the common name of a client's certificate is its user of auth. etcd: `--client-cert-auth`.
    public var authenticatesUsers = false
    /// The lowest version that is spoken. Default 1.2, as in etcd.
    public var minimumVersion = Version.tls12
    /// Cipher suites of TLS 1.2 by their registered names, in order; the library's own when empty. Those of 1.3 are all good and
    /// cannot be chosen.
    public var cipherSuites: [String] = []

    /// TLS with this certificate.
    public init(certificateFile: String, keyFile: String) {
        self.certificateFile = certificateFile
        self.keyFile = keyFile
    }
}
