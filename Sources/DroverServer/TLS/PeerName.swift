import NIOCore
import NIOSSL
import SwiftASN1
import X509

/// The common name of the certificate that a connection's client has shown.
enum PeerName {
    static func commonName(_ pipeline: ChannelPipeline.SynchronousOperations) -> String? {
        guard let handler = try? pipeline.handler(type: NIOSSLServerHandler.self),
            let shown = handler.peerCertificate,
            let certificate = try? Certificate(derEncoded: try shown.toDERBytes())
        else { return nil }
        for name in certificate.subject {
            for attribute in name where attribute.type == .RDNAttributeType.commonName {
                return String(describing: attribute.value)
            }
        }
        return nil
    }
}
