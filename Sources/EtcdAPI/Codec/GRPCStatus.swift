import Drover

/// A status of the wire form: how a call ended.
public struct CallStatus: Hashable, Sendable {
    /// The numeric code; 0 is success.
    public var code: Int
    /// The text that clients match errors by.
    public var message: String

    /// A status from its parts.
    public init(code: Int, message: String) {
        self.code = code
        self.message = message
    }

    /// Success.
    public static let ok = CallStatus(code: 0, message: "")

    /// The status of an error.
    public init(_ error: any Error) {
        switch error {
        case let error as DroverError:
            self.init(code: error.code.status.rawValue, message: error.message)
        case let failure as DriverFailure:
            self.init(failure.asDroverError)
        case is WireError:
            self.init(code: 13, message: "grpc: error unmarshalling request: the message is not valid protobuf")
        default:
            self.init(code: 13, message: "drover: internal error")
        }
    }

    /// The message as `grpc-message` carries it. Source: the protocol's "Status-Message".
    public var encodedMessage: String {
        let needsEncoding = message.utf8.contains { $0 < 0x20 || $0 > 0x7e || $0 == 0x25 }
        if !needsEncoding { return message }
        let digits = Array("0123456789ABCDEF".utf8)
        var bytes: [UInt8] = []
        for byte in message.utf8 {
            if byte < 0x20 || byte > 0x7e || byte == 0x25 {
                bytes += [0x25, digits[Int(byte >> 4)], digits[Int(byte & 15)]]
            } else {
                bytes.append(byte)
            }
        }
        return String(decoding: bytes, as: UTF8.self)
    }

    /// What the gateway asks for beside a refusal for want of a token. Source: grpc-gateway v2 `runtime/errors.go`.
    public var challenge: String? { code == 16 ? message : nil }

    /// The status of HTTP that the gateway answers with. Source: grpc-gateway `runtime/errors.go`.
    public var httpStatus: Int {
        switch code {
        case 0: 200
        case 1: 499
        case 3, 9, 11: 400
        case 4: 504
        case 5: 404
        case 6, 10: 409
        case 7: 403
        case 8: 429
        case 12: 501
        case 14: 503
        case 16: 401
        default: 500
        }
    }
}
