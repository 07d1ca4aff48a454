import NIOCore
import NIOSSL
import SwiftASN1

/// The common name of the certificate that a connection's client has shown.
enum PeerName {
    static func commonName(_ pipeline: ChannelPipeline.SynchronousOperations) -> String? {
        guard let handler = try? pipeline.handler(type: NIOSSLServerHandler.self),
            let shown = handler.peerCertificate, let bytes = try? shown.toDERBytes()
        else { return nil }
        return commonName(certificate: bytes)
    }

    // A certificate is a sequence whose first part has, after an explicit version that may be left out: the serial number,
    // the signature's algorithm, the issuer, the validity and the subject. Source: RFC 5280, section 4.1. The whole
    // package of certificates for this one name would be a twentieth of the executable.
    static func commonName(certificate: [UInt8]) -> String? {
        guard let root = try? DER.parse(certificate), let signed = parts(root)?.first, var fields = parts(signed) else {
            return nil
        }
        if fields.first?.identifier.tagClass == .contextSpecific { fields.removeFirst() }
        guard fields.count > 4, let names = parts(fields[4]) else { return nil }
        // Of several the last is the user, as Go reads them.
        var found: String?
        for name in names {
            for attribute in parts(name) ?? [] {
                guard let pair = parts(attribute), pair.count == 2,
                    let type = try? ASN1ObjectIdentifier(derEncoded: pair[0]), type == commonNameType
                else { continue }
                if case .primitive(let text) = pair[1].content { found = String(decoding: text, as: UTF8.self) }
            }
        }
        return found
    }

    private static let commonNameType: ASN1ObjectIdentifier = [2, 5, 4, 3]

    private static func parts(_ node: ASN1Node) -> [ASN1Node]? {
        guard case .constructed(let nodes) = node.content else { return nil }
        return Array(nodes)
    }
}
