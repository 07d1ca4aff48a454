import NIOCore
import NIOHPACK

/// What a request's headers say, read in one pass.
struct RequestHead {
    var method = ""
    var path = ""
    var encoding: String?
    var timeout: TimeAmount?
    /// Whether it is the wire form.
    var isWire = false

    init(_ headers: HPACKHeaders) {
        for (name, value, _) in headers {
            switch name {
            case ":path": path = value
            case ":method": method = value
            case "content-type": isWire = Self.isWire(value)
            case "grpc-timeout": timeout = Self.timeout(value)
            case "grpc-encoding": encoding = value
            default: break
            }
        }
    }

    private static func isWire(_ contentType: String) -> Bool {
        guard contentType.hasPrefix("application/grpc") else { return false }
        let rest = contentType.dropFirst("application/grpc".count)
        return rest.isEmpty || rest == "+proto" || rest.first == ";"
    }

    /// Source: the protocol's "Timeout": at most eight digits and a unit.
    static func timeout(_ value: String) -> TimeAmount? {
        guard let unit = value.utf8.last, let amount = Int64(value.dropLast()), amount >= 0, value.utf8.count <= 9
        else {
            return nil
        }
        switch unit {
        case UInt8(ascii: "H"): return .hours(amount)
        case UInt8(ascii: "M"): return .minutes(amount)
        case UInt8(ascii: "S"): return .seconds(amount)
        case UInt8(ascii: "m"): return .milliseconds(amount)
        case UInt8(ascii: "u"): return .microseconds(amount)
        case UInt8(ascii: "n"): return .nanoseconds(amount)
        default: return nil
        }
    }

    var pathWithoutQuery: String {
        guard let mark = path.firstIndex(of: "?") else { return path }
        return String(path[..<mark])
    }
}
