import ArgumentParser
import DroverClient

/// The files of TLS by which an endpoint is reached, for every command that reaches one.
struct ClientTLSFiles: ParsableArguments {
    @Option(name: .customLong("cacert"), help: "Certificates that the server's must come from (PEM).")
    private var givenCacert: String?

    @Option(name: .customLong("cert"), help: "The client's own certificate (PEM).")
    private var givenCert: String?

    @Option(name: .customLong("key"), help: "The key of the client's certificate (PEM).")
    private var givenKey: String?

    private var files: (cacert: String?, cert: String?, key: String?) {
        (
            givenCacert ?? Environment.client("CACERT"), givenCert ?? Environment.client("CERT"),
            givenKey ?? Environment.client("KEY")
        )
    }

    func validate() throws {
        guard (files.cert == nil) == (files.key == nil) else {
            throw ValidationError("--cert and --key go together.")
        }
    }

    /// How to reach endpoints by TLS; nil when nothing asks for it.
    ///
    /// - Parameter isWanted: it is asked for whatever the files.
    func tls(acceptsAnyCertificate: Bool, isWanted: Bool = false) -> ClientTLS? {
        let files = files
        guard files.cacert != nil || files.cert != nil || acceptsAnyCertificate || isWanted else { return nil }
        var tls = ClientTLS()
        (tls.trustedFile, tls.certificateFile, tls.keyFile) = files
        tls.acceptsAnyCertificate = acceptsAnyCertificate
        return tls
    }
}
