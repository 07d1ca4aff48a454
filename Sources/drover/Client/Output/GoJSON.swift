import EtcdAPI
import SwiftProtobuf

/// JSON as Go writes etcd's messages by itself: numbers as numbers, also those of enumerations.
///
/// It is not the gateway's: there 64-bit numbers are texts.
enum GoJSON {
    private static let options: JSONEncodingOptions = {
        var options = JSONEncodingOptions()
        options.preserveProtoFieldNames = true
        options.alwaysPrintInt64sAsNumbers = true
        options.alwaysPrintEnumsAsInts = true
        return options
    }()

    static func text(_ message: some Message) throws -> String { try message.jsonString(options: options) }

    /// The header's members beside others, as in the replies that clients make anew.
    static func flat(_ header: PBResponseHeader, _ members: String) throws -> String {
        let inner = try text(header).dropFirst().dropLast()
        return "{\(inner)\(inner.isEmpty ? "" : ",")\(members)}"
    }

    /// A transaction's reply: each of its replies within an object of its own.
    static func text(_ reply: PBTxnResponse) throws -> String {
        var members = reply.hasHeader ? ["\"header\":\(try text(reply.header))"] : []
        if reply.succeeded { members.append("\"succeeded\":true") }
        if !reply.responses.isEmpty {
            let responses = try reply.responses.map { operation in
                guard case .responseTxn(let nested)? = operation.response else {
                    return "{\"Response\":\(try text(operation))}"
                }
                return "{\"Response\":{\"response_txn\":\(try text(nested))}}"
            }
            members.append("\"responses\":[\(responses.joined(separator: ","))]")
        }
        return "{\(members.joined(separator: ","))}"
    }

    /// Texts as JSON has them.
    static func string(_ text: String) -> String {
        var result = "\""
        for scalar in text.unicodeScalars {
            switch scalar {
            case "\"": result += "\\\""
            case "\\": result += "\\\\"
            case _ where scalar.value < 0x20: result += "\\u" + TextBuffer.padded(scalar.value, 4)
            default: result.unicodeScalars.append(scalar)
            }
        }
        return result + "\""
    }
}
