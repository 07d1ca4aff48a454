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
        let message = try route.messages.request.init(jsonUTF8Bytes: text, options: decoding)
        let bytes: [UInt8] = try message.serializedBytes()
        return ByteBuffer(bytes: bytes)
    }

    private static func json(_ route: Route, _ message: ByteBuffer) throws -> [UInt8] {
        let wire = Array(message.readableBytesView.dropFirst(MessageBuffer.prefixBytes))
        return try route.messages.response.init(serializedBytes: wire).jsonUTF8Bytes(options: encoding)
    }

    /// The JSON of a message.
    static func text(_ message: some Message) throws -> [UInt8] {
        try message.jsonUTF8Bytes(options: encoding)
    }

    /// The JSON of a sealed reply.
    package static func reply(_ route: Route, _ message: ByteBuffer) throws -> ByteBuffer {
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
