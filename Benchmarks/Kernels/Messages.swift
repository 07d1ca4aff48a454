import EtcdAPI
import SwiftProtobuf

/// Requests as clients send them.
enum Messages {
    /// A guarded update with a read for the other case, in the wire form.
    static func update() throws -> [UInt8] { try updateMessage.serializedBytes() }

    static var updateMessage: PBTxnRequest {
        PBTxnRequest.with {
            $0.compare = [
                .with {
                    $0.target = .mod
                    $0.result = .equal
                    $0.key = .init(Fixtures.key(1))
                    $0.modRevision = 40_001
                }
            ]
            $0.success = [
                .with {
                    $0.requestPut.key = .init(Fixtures.key(1))
                    $0.requestPut.value = .init(Fixtures.value)
                }
            ]
            $0.failure = [.with { $0.requestRange.key = .init(Fixtures.key(1)) }]
        }
    }
}
