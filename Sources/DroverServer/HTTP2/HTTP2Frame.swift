import NIOCore

/// Frames of HTTP/2. Source: RFC 9113, section 6.
enum HTTP2Frame {
    static let headerBytes = 9
    /// The largest payload either side sends: the protocol's default, which we keep for both directions.
    static let maximumPayload = 16_384
    static let preface = Array("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n".utf8)

    enum Kind {
        static let data: UInt8 = 0
        static let headers: UInt8 = 1
        static let priority: UInt8 = 2
        static let reset: UInt8 = 3
        static let settings: UInt8 = 4
        static let pushPromise: UInt8 = 5
        static let ping: UInt8 = 6
        static let goAway: UInt8 = 7
        static let windowUpdate: UInt8 = 8
        static let continuation: UInt8 = 9
    }

    enum Flag {
        static let endStream: UInt8 = 0x1
        static let ack: UInt8 = 0x1
        static let endHeaders: UInt8 = 0x4
        static let padded: UInt8 = 0x8
        static let priority: UInt8 = 0x20
    }

    enum Setting {
        static let headerTableSize: UInt16 = 1
        static let enablePush: UInt16 = 2
        static let maxConcurrentStreams: UInt16 = 3
        static let initialWindowSize: UInt16 = 4
        static let maxFrameSize: UInt16 = 5
        static let maxHeaderListSize: UInt16 = 6
    }

    /// Error codes. Source: RFC 9113, section 7.
    enum ErrorCode: UInt32, Error {
        case noError = 0
        case protocolError = 1
        case internalError = 2
        case flowControlError = 3
        case streamClosed = 5
        case frameSizeError = 6
        case refusedStream = 7
        case cancel = 8
        case compressionError = 9
        case enhanceYourCalm = 11
    }

    /// The nine bytes before a payload.
    struct Head {
        var length: Int
        var kind: UInt8
        var flags: UInt8
        var stream: UInt32

        func has(_ flag: UInt8) -> Bool { flags & flag != 0 }
    }

    @inline(__always)
    static func head(_ bytes: UnsafeRawBufferPointer) -> Head {
        Head(
            length: Int(bytes[0]) << 16 | Int(bytes[1]) << 8 | Int(bytes[2]),
            kind: bytes[3],
            flags: bytes[4],
            stream: UInt32(bigEndian: bytes.loadUnaligned(fromByteOffset: 5, as: UInt32.self)) & 0x7fff_ffff
        )
    }
}

extension ByteBuffer {
    @inline(__always)
    mutating func writeFrameHead(_ kind: UInt8, flags: UInt8 = 0, stream: UInt32, length: Int) {
        writeMultipleIntegers(
            UInt8(truncatingIfNeeded: length >> 16),
            UInt16(truncatingIfNeeded: length),
            kind,
            flags,
            stream
        )
    }
}

/// Literal header blocks, without a compression table: a few bytes more, and nothing to keep in step.
enum HeaderBlock {
    /// That the compression table has no room: RFC 7541, 6.3.
    static let noTable: UInt8 = 0x20
    /// `:status: 200`, `content-type: application/grpc`.
    static let wireHead: [UInt8] = [0x88] + literal(nameIndex: 31, "application/grpc")
    /// The same, for a call whose messages may be compressed.
    static let gzipHead: [UInt8] = wireHead + literal("grpc-encoding", "gzip")
    /// `grpc-status: 0`, `grpc-message:` empty.
    static let okTrailers: [UInt8] = literal("grpc-status", "0") + literal("grpc-message", "")

    static func literal(_ name: String, _ value: String) -> [UInt8] {
        [0] + string(name) + string(value)
    }

    static func literal(nameIndex: Int, _ value: String) -> [UInt8] {
        (nameIndex < 15 ? [UInt8(nameIndex)] : [0x0f, UInt8(nameIndex - 15)]) + string(value)
    }

    private static func string(_ text: String) -> [UInt8] {
        let bytes = Array(text.utf8)
        if bytes.count < 127 { return [UInt8(bytes.count)] + bytes }
        var prefix: [UInt8] = [127]
        var rest = bytes.count - 127
        while rest > 127 {
            prefix.append(UInt8(rest & 127) | 128)
            rest >>= 7
        }
        return prefix + [UInt8(rest)] + bytes
    }

    static func trailers(_ status: Int, _ message: String) -> [UInt8] {
        var block = literal("grpc-status", "\(status)") + literal("grpc-message", message)
        if status == 12 { block += literal("grpc-accept-encoding", "identity,gzip") }
        return block
    }

    static func plain(_ status: Int, contentType: String, length: Int?, allowedOrigin: String?) -> [UInt8] {
        var block = status == 200 ? [0x88] : literal(nameIndex: 8, "\(status)")
        block += literal(nameIndex: 31, contentType)
        if let length { block += literal(nameIndex: 28, "\(length)") }
        if let allowedOrigin {
            block += literal("access-control-allow-methods", AccessRules.methods)
            block += literal("access-control-allow-origin", allowedOrigin)
            block += literal("access-control-allow-headers", AccessRules.headers)
        }
        return block
    }
}
