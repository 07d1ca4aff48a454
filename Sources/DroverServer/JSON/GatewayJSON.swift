import EtcdAPI
package import NIOCore
import SwiftProtobuf

/// Between the wire form and the gateway's JSON.
///
/// Every call has one implementation, on wire messages; JSON is put on before and after it. Source: etcd
/// `server/embed/serve.go` (proto names, defaults left out, unknown fields ignored).
package enum GatewayJSON {
    private static let decoding: JSONDecodingOptions = {
        var options = JSONDecodingOptions()
        options.ignoreUnknownFields = true
        options.messageDepthLimit = 1_000
        return options
    }()

    private static let encoding: JSONEncodingOptions = {
        var options = JSONEncodingOptions()
        options.preserveProtoFieldNames = true
        return options
    }()

    /// The wire message of a JSON request. An empty body is an empty request.
    package static func request(_ route: Route, _ json: ByteBuffer) throws -> ByteBuffer {
        let isEmpty = !json.readableBytesView.contains { $0 > 0x20 }
        let text = isEmpty ? Array("{}".utf8) : Array(json.readableBytesView)
        func wire(_ type: (some Message).Type) throws -> ByteBuffer {
            let bytes: [UInt8] = try type.init(jsonUTF8Bytes: text, options: decoding).serializedBytes()
            return ByteBuffer(bytes: bytes)
        }
        switch route {
        case .range: return try wire(PBRangeRequest.self)
        case .put: return try wire(PBPutRequest.self)
        case .deleteRange: return try wire(PBDeleteRangeRequest.self)
        case .txn: return try wire(PBTxnRequest.self)
        case .compact: return try wire(PBCompactionRequest.self)
        case .watch: return try wire(PBWatchRequest.self)
        case .leaseGrant: return try wire(PBLeaseGrantRequest.self)
        case .leaseRevoke: return try wire(PBLeaseRevokeRequest.self)
        case .leaseKeepAlive: return try wire(PBLeaseKeepAliveRequest.self)
        case .leaseTimeToLive: return try wire(PBLeaseTimeToLiveRequest.self)
        case .leaseLeases: return try wire(PBLeaseLeasesRequest.self)
        case .memberList: return try wire(PBMemberListRequest.self)
        case .memberAdd: return try wire(PBMemberAddRequest.self)
        case .memberRemove: return try wire(PBMemberRemoveRequest.self)
        case .memberUpdate: return try wire(PBMemberUpdateRequest.self)
        case .memberPromote: return try wire(PBMemberPromoteRequest.self)
        case .defragment: return try wire(PBDefragmentRequest.self)
        case .moveLeader: return try wire(PBMoveLeaderRequest.self)
        case .downgrade: return try wire(PBDowngradeRequest.self)
        case .status: return try wire(PBStatusRequest.self)
        case .alarm: return try wire(PBAlarmRequest.self)
        case .lock: return try wire(PBLockRequest.self)
        case .unlock: return try wire(PBUnlockRequest.self)
        case .campaign: return try wire(PBCampaignRequest.self)
        case .proclaim: return try wire(PBProclaimRequest.self)
        case .leader, .observe: return try wire(PBLeaderRequest.self)
        case .resign: return try wire(PBResignRequest.self)
        case .healthCheck, .healthWatch: return try wire(PBHealthCheckRequest.self)
        }
    }

    private static func json(_ route: Route, _ message: ByteBuffer) throws -> [UInt8] {
        let wire = Array(message.readableBytesView.dropFirst(MessageBuffer.prefixBytes))
        func text(_ type: (some Message).Type) throws -> [UInt8] {
            try type.init(serializedBytes: wire).jsonUTF8Bytes(options: encoding)
        }
        switch route {
        case .range: return try text(PBRangeResponse.self)
        case .put: return try text(PBPutResponse.self)
        case .deleteRange: return try text(PBDeleteRangeResponse.self)
        case .txn: return try text(PBTxnResponse.self)
        case .compact: return try text(PBCompactionResponse.self)
        case .watch: return try text(PBWatchResponse.self)
        case .leaseGrant: return try text(PBLeaseGrantResponse.self)
        case .leaseRevoke: return try text(PBLeaseRevokeResponse.self)
        case .leaseKeepAlive: return try text(PBLeaseKeepAliveResponse.self)
        case .leaseTimeToLive: return try text(PBLeaseTimeToLiveResponse.self)
        case .leaseLeases: return try text(PBLeaseLeasesResponse.self)
        case .memberList: return try text(PBMemberListResponse.self)
        case .memberAdd: return try text(PBMemberAddResponse.self)
        case .memberRemove: return try text(PBMemberRemoveResponse.self)
        case .memberUpdate: return try text(PBMemberUpdateResponse.self)
        case .memberPromote: return try text(PBMemberPromoteResponse.self)
        case .defragment: return try text(PBDefragmentResponse.self)
        case .moveLeader: return try text(PBMoveLeaderResponse.self)
        case .downgrade: return try text(PBDowngradeResponse.self)
        case .status: return try text(PBStatusResponse.self)
        case .alarm: return try text(PBAlarmResponse.self)
        case .lock: return try text(PBLockResponse.self)
        case .unlock: return try text(PBUnlockResponse.self)
        case .campaign: return try text(PBCampaignResponse.self)
        case .proclaim: return try text(PBProclaimResponse.self)
        case .leader, .observe: return try text(PBLeaderResponse.self)
        case .resign: return try text(PBResignResponse.self)
        case .healthCheck, .healthWatch: return try text(PBHealthCheckResponse.self)
        }
    }

    /// The JSON of a message.
    static func text(_ message: some Message) throws -> [UInt8] {
        try message.jsonUTF8Bytes(options: encoding)
    }

    /// The JSON of a sealed reply.
    static func reply(_ route: Route, _ message: ByteBuffer) throws -> ByteBuffer {
        ByteBuffer(bytes: try json(route, message))
    }

    /// One line of a streamed reply.
    static func streamed(_ route: Route, _ message: ByteBuffer) throws -> ByteBuffer {
        var buffer = ByteBuffer(string: "{\"result\":")
        buffer.writeBytes(try json(route, message))
        buffer.writeString("}\n")
        return buffer
    }

    /// The body of an error. etcd 3.5 names the text `error`, 3.6 and later `message`: clients look at either.
    static func error(_ status: CallStatus) -> ByteBuffer {
        ByteBuffer(string: object(status))
    }

    /// The line that ends a streamed reply with an error.
    static func streamedError(_ status: CallStatus) -> ByteBuffer {
        ByteBuffer(string: "{\"error\":\(object(status))}\n")
    }

    private static func object(_ status: CallStatus) -> String {
        let text = quoted(status.message)
        return "{\"error\":\(text),\"code\":\(status.code),\"message\":\(text),\"details\":[]}"
    }

    static func quoted(_ text: String) -> String {
        var result = "\""
        for scalar in text.unicodeScalars {
            switch scalar {
            case "\"": result += "\\\""
            case "\\": result += "\\\\"
            case "\n": result += "\\n"
            default:
                if scalar.value < 0x20 {
                    let hex = String(scalar.value, radix: 16)
                    result += "\\u" + String(repeating: "0", count: 4 - hex.count) + hex
                } else {
                    result.unicodeScalars.append(scalar)
                }
            }
        }
        return result + "\""
    }
}
