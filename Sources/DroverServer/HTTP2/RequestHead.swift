import NIOCore

#if canImport(Glibc)
    import Glibc
#elseif canImport(Musl)
    import Musl
#elseif canImport(Darwin)
    import Darwin
#endif

/// A header as far as it concerns us, understood once when it enters the compression table and not with every request.
enum HeaderField: Sendable {
    case path(String)
    case method(String)
    /// Whether the content is the wire form.
    case contentType(isWire: Bool)
    case timeout(TimeAmount?)
    case encoding(MessageEncoding)
    /// A token of auth, as ``RequestHead/token(_:ofAuthorization:)`` has it.
    case token(String)
    case authority(String)
    case origin(String)
    /// `grpc-status` and `grpc-message`, of replies.
    case status(Int?)
    case message(String)
    /// Any other pseudo-header, such as the scheme.
    case otherPseudo
    case other

    /// The names that mean something here.
    enum Name: Sendable {
        case path, method, contentType, timeout, encoding, token, authorization, authority, origin, status, message,
            otherPseudo
        case other

        /// By length first: a table of them would make a text of every name, and hash it.
        init(_ name: UnsafeRawBufferPointer) {
            func isText(_ text: StaticString) -> Bool { memcmp(name.baseAddress!, text.utf8Start, name.count) == 0 }
            let known: Name? =
                switch name.count {
                case 5: isText(":path") ? .path : isText("token") ? .token : nil
                case 6: isText("origin") ? .origin : nil
                case 7: isText(":method") ? .method : nil
                case 10: isText(":authority") ? .authority : nil
                case 11: isText("grpc-status") ? .status : nil
                case 12:
                    isText("content-type")
                        ? .contentType : isText("grpc-timeout") ? .timeout : isText("grpc-message") ? .message : nil
                case 13: isText("grpc-encoding") ? .encoding : isText("authorization") ? .authorization : nil
                case 19: isText("grpc-metadata-token") ? .token : nil
                case 27: isText("grpc-metadata-authorization") ? .authorization : nil
                default: nil
                }
            self = known ?? (name.first == 0x3a ? .otherPseudo : .other)
        }
    }

    init(_ name: Name, _ value: UnsafeRawBufferPointer) {
        func text() -> String { String(decoding: value, as: UTF8.self) }
        switch name {
        case .path: self = .path(text())
        case .method: self = .method(text())
        case .contentType: self = .contentType(isWire: RequestHead.isWire(text()))
        case .timeout: self = .timeout(RequestHead.timeout(text()))
        case .encoding: self = .encoding(MessageEncoding(text()))
        case .token: self = .token(RequestHead.token(text(), ofAuthorization: false))
        case .authorization: self = .token(RequestHead.token(text(), ofAuthorization: true))
        case .authority: self = .authority(text())
        case .origin: self = .origin(text())
        case .status: self = .status(Int(text()))
        case .message: self = .message(text())
        case .otherPseudo: self = .otherPseudo
        case .other: self = .other
        }
    }
}

/// What a request's headers say.
package struct RequestHead {
    package init() {}

    var method = ""
    var path = ""
    /// How messages are encoded.
    var encoding = MessageEncoding.identity
    var timeout: TimeAmount?
    /// Whether it is the wire form.
    var isWire = false
    /// A token of auth. Source: etcd `server/auth/store.go`, `AuthInfoFromCtx`: that of the header `token`, else
    /// `authorization`, and of several of one name the first.
    var token: String? {
        guard let tokenField else { return nil }
        return Self.isOfAuthorization(tokenField) ? String(tokenField.dropFirst()) : tokenField
    }
    private var tokenField: String?
    /// The host that the request is made to.
    var authority: String?
    /// The page that asks.
    var origin: String?
    /// Whether a pseudo-header came after another, which RFC 9113 (8.3) forbids.
    var isMalformed = false
    /// Of a reply's trailers: what the call came to.
    package private(set) var status: Int?
    package private(set) var message: String?
    private var sawOther = false

    mutating func take(_ field: HeaderField) {
        switch field {
        case .path(let value):
            isMalformed = isMalformed || sawOther
            path = value
        case .method(let value):
            isMalformed = isMalformed || sawOther
            method = value
        case .authority(let value):
            isMalformed = isMalformed || sawOther
            authority = value
        case .origin(let value):
            sawOther = true
            origin = value
        case .otherPseudo:
            isMalformed = isMalformed || sawOther
        case .contentType(let wire):
            sawOther = true
            isWire = wire
        case .timeout(let value):
            sawOther = true
            timeout = value ?? Self.malformedTimeout
        case .encoding(let value):
            sawOther = true
            encoding = value
        case .token(let value):
            sawOther = true
            takeToken(value)
        case .status(let value): status = value
        case .message(let value): message = value
        case .other:
            sawOther = true
        }
    }

    // Apart, so that the rest is small enough to be put where heads are decoded.
    @inline(never)
    private mutating func takeToken(_ value: String) {
        guard let known = tokenField else { return tokenField = value }
        if Self.isOfAuthorization(known) && !Self.isOfAuthorization(value) { tokenField = value }
    }

    /// A token as clients send it: by itself, or as a bearer's. Source: etcd `rpctypes/md.go`.
    static func token(_ value: String) -> String {
        value.lowercased().hasPrefix("bearer ") ? String(value.dropFirst("bearer ".count)) : value
    }

    /// As ``token(_:)``, behind a zero byte, which no header can hold, where it is of the header `authorization`: with another
    /// case of ``HeaderField`` a head takes 2,750 instructions in place of 2,390.
    static func token(_ value: String, ofAuthorization: Bool) -> String {
        (ofAuthorization ? "\0" : "") + token(value)
    }

    private static func isOfAuthorization(_ token: String) -> Bool { token.utf8.first == 0 }

    static func isWire(_ contentType: String) -> Bool {
        guard contentType.hasPrefix("application/grpc") else { return false }
        let rest = contentType.dropFirst("application/grpc".count)
        return rest.isEmpty || rest == "+proto" || rest.first == ";"
    }

    /// What stands for a timeout that is none.
    private static let malformedTimeout = TimeAmount.nanoseconds(-1)

    /// Whether the client said how long it waits in a way that cannot be understood.
    var hasMalformedTimeout: Bool { timeout.map { $0.nanoseconds < 0 } ?? false }

    /// Source: the protocol's "Timeout": at most eight digits and a unit.
    ///
    /// - Parameter mostDigits: the gateway takes any number.
    static func timeout(_ value: String, mostDigits: Int = 8) -> TimeAmount? {
        let digits = value.utf8.dropLast()
        guard let unit = value.utf8.last, digits.count <= mostDigits, digits.allSatisfy({ (0x30...0x39).contains($0) }),
            let amount = Int64(value.dropLast())
        else { return nil }
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
