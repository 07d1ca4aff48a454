import Foundation

/// A socket that sends what it is told, however wrong, and collects what comes back.
public final class RawConnection {
    private let descriptor: Int32

    /// - Parameter patience: seconds without a byte after which ``receive(until:)`` gives up.
    public init(port: Int, patience: Int = 5) throws {
        descriptor = socket(AF_INET, Int32(SOCK_STREAM.rawValue), 0)
        var address = sockaddr_in()
        address.sin_family = sa_family_t(AF_INET)
        address.sin_port = UInt16(port).bigEndian
        address.sin_addr.s_addr = inet_addr("127.0.0.1")
        let status = withUnsafePointer(to: &address) { pointer in
            pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) {
                connect(descriptor, $0, socklen_t(MemoryLayout<sockaddr_in>.size))
            }
        }
        if status != 0 { throw POSIXError(.ECONNREFUSED) }
        var noDelay: Int32 = 1
        setsockopt(descriptor, Int32(IPPROTO_TCP), TCP_NODELAY, &noDelay, socklen_t(MemoryLayout<Int32>.size))
        var timeout = timeval(tv_sec: patience, tv_usec: 0)
        setsockopt(descriptor, SOL_SOCKET, SO_RCVTIMEO, &timeout, socklen_t(MemoryLayout<timeval>.size))
    }

    deinit { close(descriptor) }

    /// Whether ``send(_:)`` gives up where the other side does not read, instead of waiting for it.
    public var isNonblocking = false

    /// Sends; false when the other side has closed.
    @discardableResult
    public func send(_ bytes: [UInt8]) -> Bool {
        var rest = bytes[...]
        while !rest.isEmpty {
            let count = rest.withUnsafeBytes {
                Glibc.send(
                    descriptor,
                    $0.baseAddress,
                    $0.count,
                    Int32(MSG_NOSIGNAL) | (isNonblocking ? Int32(MSG_DONTWAIT) : 0)
                )
            }
            if count <= 0 { return false }
            rest = rest.dropFirst(count)
        }
        return true
    }

    /// Whether the other side has closed; what it sent before is thrown away.
    public var isClosedByPeer: Bool {
        var buffer = [UInt8](repeating: 0, count: 4_096)
        while true {
            let count = recv(descriptor, &buffer, buffer.count, Int32(MSG_DONTWAIT))
            if count == 0 { return true }
            if count < 0 { return errno != EAGAIN && errno != EWOULDBLOCK }
        }
    }

    /// Whether ``receive(until:)`` ended since nothing came for as long as it waits, and not since the other side closed.
    public private(set) var wasSilent = false

    /// What has come by the time the other side closes, or `until` is content, or nothing comes for as long as it waits.
    public func receive(until isEnough: ([UInt8]) -> Bool = { _ in false }) -> [UInt8] {
        var all: [UInt8] = []
        var buffer = [UInt8](repeating: 0, count: 65_536)
        while !isEnough(all) {
            let count = recv(descriptor, &buffer, buffer.count, 0)
            wasSilent = count < 0 && (errno == EAGAIN || errno == EWOULDBLOCK)
            if count <= 0 { break }
            all += buffer[..<count]
        }
        return all
    }
}

/// Frames of HTTP/2, right and wrong.
public enum Frames {
    public static let preface = Array("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n".utf8)
    public static let hello = preface + frame(4, 0, 0, [])

    public static func frame(_ kind: UInt8, _ flags: UInt8, _ stream: UInt32, _ payload: [UInt8]) -> [UInt8] {
        let length = payload.count
        return [UInt8(length >> 16 & 255), UInt8(length >> 8 & 255), UInt8(length & 255), kind, flags]
            + [UInt8(stream >> 24), UInt8(stream >> 16 & 255), UInt8(stream >> 8 & 255), UInt8(stream & 255)] + payload
    }

    public static func literal(_ name: String, _ value: String) -> [UInt8] {
        [0, UInt8(name.utf8.count)] + Array(name.utf8) + [UInt8(value.utf8.count)] + Array(value.utf8)
    }

    public static func request(_ path: String, contentType: String = "application/grpc", extra: [UInt8] = []) -> [UInt8]
    {
        literal(":method", "POST") + literal(":scheme", "http") + literal(":path", path)
            + literal(":authority", "x") + literal("content-type", contentType) + extra
    }

    /// A call with one message.
    public static func call(_ stream: UInt32, _ path: String, _ message: [UInt8], extra: [UInt8] = []) -> [UInt8] {
        let prefix: [UInt8] = [0, 0, 0, UInt8(message.count >> 8), UInt8(message.count & 255)]
        return frame(1, 4, stream, request(path, extra: extra)) + frame(0, 1, stream, prefix + message)
    }

    /// The error code of the GOAWAY that ended a connection; nil when there was none.
    public static func goAway(_ bytes: [UInt8]) -> UInt8? { parse(bytes).last { $0.kind == 7 }?.payload[7] }

    /// Kind, flags, stream and payload of each whole frame.
    public static func parse(_ bytes: [UInt8]) -> [(kind: UInt8, flags: UInt8, stream: UInt32, payload: [UInt8])] {
        var result: [(UInt8, UInt8, UInt32, [UInt8])] = []
        var at = 0
        while at + 9 <= bytes.count {
            let length = Int(bytes[at]) << 16 | Int(bytes[at + 1]) << 8 | Int(bytes[at + 2])
            guard at + 9 + length <= bytes.count else { break }
            let stream = bytes[(at + 5)..<(at + 9)].reduce(UInt32(0)) { $0 << 8 | UInt32($1) }
            result.append((bytes[at + 3], bytes[at + 4], stream, Array(bytes[(at + 9)..<(at + 9 + length)])))
            at += 9 + length
        }
        return result
    }
}
