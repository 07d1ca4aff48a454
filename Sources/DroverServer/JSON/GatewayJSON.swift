import Drover
import EtcdAPI
package import NIOCore
import NIOHTTP1
import SwiftProtobuf

#if canImport(Glibc)
    import Glibc
#elseif canImport(Musl)
    import Musl
#elseif canImport(Darwin)
    import Darwin
#endif

/// Between the wire form and the gateway's JSON.
///
/// Every call has one implementation, on wire messages; JSON is put on before and after it. Source: etcd
/// `server/embed/serve.go` (proto names, defaults left out, unknown fields ignored).
package enum GatewayJSON {
    private static let decoding: JSONDecodingOptions = {
        var options = JSONDecodingOptions()
        options.ignoreUnknownFields = true
        // Two for each transaction in another, of which the wire form takes 130.
        options.messageDepthLimit = 300
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
    ///
    /// - Parameter maximumOperations: the most operations of a transaction with those in it: each is measured once for each
    ///   transaction that it is in.
    package static func request(
        _ route: Route,
        _ json: ByteBuffer,
        maximumOperations: Int = .max
    ) throws -> ByteBuffer {
        let isEmpty = !json.readableBytesView.contains { $0 > 0x20 }
        let text = isEmpty ? Array("{}".utf8) : plain(Array(json.readableBytesView))
        if route == .txn { try checkObjects(text, most: maximumOperations) }
        let message: any Message
        do {
            message = try route.messages.request.init(jsonUTF8Bytes: text, options: decoding)
        } catch {
            guard let text = withoutLineBreaks(text) else { throw error }
            message = try route.messages.request.init(jsonUTF8Bytes: text, options: decoding)
        }
        if let txn = message as? PBTxnRequest {
            var left = maximumOperations
            try count(txn, &left)
        }
        let bytes: [UInt8] = try message.serializedBytes()
        return ByteBuffer(bytes: bytes)
    }

    /// Refuses what has more objects than any transaction that is taken: made into messages, a million of them would keep the
    /// event loop for half a second.
    private static func checkObjects(_ text: [UInt8], most: Int) throws(DroverError) {
        // Three for each operation.
        let limit = most > 1 << 40 ? Int.max : 3 * most + 1_000
        if text.count < limit { return }
        var (objects, inString, isEscaped) = (0, false, false)
        for byte in text {
            if isEscaped {
                isEscaped = false
            } else if inString {
                if byte == UInt8(ascii: "\\") {
                    isEscaped = true
                } else if byte == UInt8(ascii: "\"") {
                    inString = false
                }
            } else if byte == UInt8(ascii: "\"") {
                inString = true
            } else if byte == UInt8(ascii: "{") {
                objects += 1
            }
        }
        if objects > limit { throw DroverError(.tooManyOperations) }
    }

    /// The same JSON without the escapes of line breaks, which encoders of base64 put in and etcd's passes over; nil when it
    /// has none.
    private static func withoutLineBreaks(_ text: [UInt8]) -> [UInt8]? {
        var result: [UInt8] = []
        var place = 0
        while place < text.count {
            if text[place] == UInt8(ascii: "\\"), place + 1 < text.count {
                let isBreak = text[place + 1] == UInt8(ascii: "n") || text[place + 1] == UInt8(ascii: "r")
                if !isBreak { result += text[place...place + 1] }
                place += 2
            } else {
                result.append(text[place])
                place += 1
            }
        }
        return result.count == text.count ? nil : result
    }

    private static func count(_ txn: PBTxnRequest, _ left: inout Int) throws(DroverError) {
        left -= txn.compare.count + txn.success.count + txn.failure.count
        if left < 0 { throw DroverError(.tooManyOperations) }
        for operations in [txn.success, txn.failure] {
            for operation in operations {
                if case .requestTxn(let nested) = operation.request { try count(nested, &left) }
            }
        }
    }

    /// The same JSON without escapes of printable characters that need none: the decoder knows none within base64, and
    /// some encoders write `=` and `+` so.
    private static func plain(_ text: [UInt8]) -> [UInt8] {
        let backslash = UInt8(ascii: "\\")
        guard text.withUnsafeBytes({ memchr($0.baseAddress!, Int32(backslash), $0.count) != nil }) else { return text }
        var result: [UInt8] = []
        result.reserveCapacity(text.count)
        var place = 0
        while place < text.count {
            let byte = text[place]
            guard byte == backslash, place + 1 < text.count else {
                result.append(byte)
                place += 1
                continue
            }
            if let character = printable(text, place) {
                result.append(character)
                place += 6
            } else {
                result.append(backslash)
                result.append(text[place + 1])
                place += 2
            }
        }
        return result
    }

    /// The character of an escape of six, where it is printable and may stand in a string as it is.
    private static func printable(_ text: [UInt8], _ place: Int) -> UInt8? {
        guard place + 5 < text.count, text[place + 1] == UInt8(ascii: "u"), text[place + 2] == UInt8(ascii: "0"),
            text[place + 3] == UInt8(ascii: "0"), let high = digit(text[place + 4]), let low = digit(text[place + 5])
        else { return nil }
        let code = high << 4 | low
        let isPlain = (0x20...0x7e).contains(code) && code != UInt8(ascii: "\"") && code != UInt8(ascii: "\\")
        return isPlain ? code : nil
    }

    private static func digit(_ byte: UInt8) -> UInt8? {
        switch byte {
        case UInt8(ascii: "0")...UInt8(ascii: "9"): byte - UInt8(ascii: "0")
        case UInt8(ascii: "a")...UInt8(ascii: "f"): byte - UInt8(ascii: "a") + 10
        case UInt8(ascii: "A")...UInt8(ascii: "F"): byte - UInt8(ascii: "A") + 10
        default: nil
        }
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

    /// The line that ends a streamed reply with an error. etcd 3.5 names its codes `grpc_code` and `http_code`, 3.6 and later
    /// `code`: clients look at either, and some cannot do without.
    static func streamedError(_ status: CallStatus) -> ByteBuffer {
        let phrase = HTTPResponseStatus(statusCode: status.httpStatus).reasonPhrase
        return ByteBuffer(
            string:
                "{\"error\":{\"grpc_code\":\(status.code),\"http_code\":\(status.httpStatus),\"message\":\(quoted(status.message)),\"http_status\":\(quoted(phrase)),\"code\":\(status.code),\"details\":[]}}\n"
        )
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
