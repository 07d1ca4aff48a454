package import NIOSSL

/// Certificates that are believed, each by itself.
///
/// Every certificate of the file is an anchor, an intermediate one too, as in Go and so in etcd: BoringSSL wants a chain to
/// end in one that is signed by itself, unless the certificate it ends in is marked as trusted for the purpose. That mark is
/// the second part of OpenSSL's form `TRUSTED CERTIFICATE`. Source: openssl-x509(1), "Trust Options"; crypto/x509/x_x509a.cc.
package enum TrustAnchors {
    /// Whose certificates they prove.
    package enum Purpose: Sendable {
        case clients
        case servers
    }

    /// The certificates of a file in PEM form.
    ///
    /// - Throws: what NIOSSL throws when the file cannot be read or understood.
    package static func load(_ path: String, proving purpose: Purpose) throws -> [NIOSSLCertificate] {
        try NIOSSLCertificate.fromPEMFile(path).map { certificate in
            let marked = try certificate.toDERBytes() + mark(purpose)
            let text = "-----BEGIN TRUSTED CERTIFICATE-----\n\(base64(marked))-----END TRUSTED CERTIFICATE-----\n"
            return try NIOSSLCertificate.fromPEMBytes(Array(text.utf8)).first ?? certificate
        }
    }

    /// A sequence of one sequence of one extended key usage (RFC 5280, 4.2.1.12): id-kp-clientAuth or id-kp-serverAuth.
    private static func mark(_ purpose: Purpose) -> [UInt8] {
        let usage: UInt8 = purpose == .clients ? 2 : 1
        return [0x30, 0x0c, 0x30, 0x0a, 0x06, 0x08, 0x2b, 0x06, 0x01, 0x05, 0x05, 0x07, 0x03, usage]
    }

    /// In lines of 64 characters (RFC 7468).
    private static func base64(_ bytes: [UInt8]) -> String {
        let digits = Array("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/".utf8)
        var text: [UInt8] = []
        for line in stride(from: 0, to: bytes.count, by: 48) {
            let end = min(bytes.count, line + 48)
            for start in stride(from: line, to: end, by: 3) {
                let part = bytes[start..<min(end, start + 3)]
                var number = 0
                for i in 0..<3 { number = number << 8 | (i < part.count ? Int(part[start + i]) : 0) }
                for i in 0..<4 {
                    let isThere = i <= part.count
                    text.append(isThere ? digits[number >> (18 - 6 * i) & 63] : UInt8(ascii: "="))
                }
            }
            text.append(UInt8(ascii: "\n"))
        }
        return String(decoding: text, as: UTF8.self)
    }
}
