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

    /// As deep as requests, whose transactions come back in the replies.
    private static let decodingReply: BinaryDecodingOptions = {
        var options = BinaryDecodingOptions()
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
        let text = isEmpty ? Array("{}".utf8) : plain(Array(json.readableBytesView))
        let bytes: [UInt8]
        do {
            bytes = try route.messages.request.init(jsonUTF8Bytes: text, options: decoding).serializedBytes()
        } catch {
            // Encoders of other languages break lines of base64, which etcd's decoder passes over.
            guard let joined = withoutLineBreaks(text) else { throw error }
            bytes = try route.messages.request.init(jsonUTF8Bytes: joined, options: decoding).serializedBytes()
        }
        return ByteBuffer(bytes: bytes)
    }

    /// The same JSON without escapes of printable characters that need none: the decoder knows none within base64, and
    /// some encoders write `=` and `+` so.
    private static func plain(_ text: [UInt8]) -> [UInt8] {
        guard text.contains(UInt8(ascii: "\\")) else { return text }
        return replacingEscapes(text) { escape in
            guard escape[1] == UInt8(ascii: "u"), escape.count == 6,
                let code = UInt8(String(decoding: escape[2...], as: UTF8.self), radix: 16),
                (0x20...0x7e).contains(code), code != UInt8(ascii: "\""), code != UInt8(ascii: "\\")
            else { return nil }
            return [code]
        }
    }

    /// The JSON without escaped line breaks; nil when there are none.
    private static func withoutLineBreaks(_ text: [UInt8]) -> [UInt8]? {
        guard text.contains(UInt8(ascii: "\\")) else { return nil }
        let joined = replacingEscapes(text) { escape in
            escape[1] == UInt8(ascii: "n") || escape[1] == UInt8(ascii: "r") ? [] : nil
        }
        return joined.count == text.count ? nil : joined
    }

    /// - Parameter replacement: what is to stand for an escape, given with its backslash; nil leaves it as it is.
    private static func replacingEscapes(_ text: [UInt8], _ replacement: ([UInt8]) -> [UInt8]?) -> [UInt8] {
        var result: [UInt8] = []
        result.reserveCapacity(text.count)
        var place = 0
        while place < text.count {
            guard text[place] == UInt8(ascii: "\\"), place + 1 < text.count else {
                result.append(text[place])
                place += 1
                continue
            }
            let length = min(text[place + 1] == UInt8(ascii: "u") ? 6 : 2, text.count - place)
            let escape = Array(text[place..<(place + length)])
            result += replacement(escape) ?? escape
            place += length
        }
        return result
    }

    private static func json(_ route: Route, _ message: ByteBuffer) throws -> [UInt8] {
        let wire = Array(message.readableBytesView.dropFirst(MessageBuffer.prefixBytes))
        return try route.messages.response.init(serializedBytes: wire, options: decodingReply).jsonUTF8Bytes(
            options: encoding
        )
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
