import CZlib
import EtcdAPI
package import NIOCore

/// How a call's messages are encoded, by the header `grpc-encoding`.
///
/// Source: gRPC over HTTP2, "Message-Encoding"; the server answers in the encoding that the request came in, as etcd's does.
package enum MessageEncoding: Sendable {
    case identity
    case gzip
    /// One that is not known here.
    case other

    package init(_ name: String) {
        switch name {
        case "identity": self = .identity
        case "gzip": self = .gzip
        default: self = .other
        }
    }

    /// Bytes of a message below which compressing is not worth its while.
    private static let leastBytes = 1_024
    /// zlib's largest window, with gzip's header and trailer.
    private static let gzipWindow: Int32 = 15 + 16

    /// What a compressed message holds.
    package enum Inflated {
        case message(ByteBuffer)
        case damaged
        case tooLong

        /// The message, if there is one.
        package var message: ByteBuffer? {
            if case .message(let message) = self { return message }
            return nil
        }
    }

    /// The message within a compressed one.
    ///
    /// - Parameter limit: the most bytes of it.
    package static func inflated(_ message: ByteBuffer, limit: Int, _ allocator: ByteBufferAllocator) -> Inflated {
        var stream = z_stream()
        guard inflateInit2_(&stream, gzipWindow, ZLIB_VERSION, Int32(MemoryLayout<z_stream>.size)) == Z_OK else {
            return .damaged
        }
        defer { inflateEnd(&stream) }
        var message = message
        // One byte more than may be, so that a longer one is known for it.
        var result = allocator.buffer(capacity: min(limit + 1, max(1_024, message.readableBytes * 4)))
        return message.readWithUnsafeMutableReadableBytes { input -> (Int, Inflated) in
            stream.next_in = input.baseAddress?.assumingMemoryBound(to: UInt8.self)
            stream.avail_in = UInt32(input.count)
            while true {
                let room = min(limit + 1 - result.readableBytes, max(result.writableBytes, 16 << 10))
                if room <= 0 { return (0, .tooLong) }
                var status = Z_OK
                result.writeWithUnsafeMutableBytes(minimumWritableBytes: room) { output in
                    stream.next_out = output.baseAddress?.assumingMemoryBound(to: UInt8.self)
                    stream.avail_out = UInt32(room)
                    status = inflate(&stream, Z_NO_FLUSH)
                    return room - Int(stream.avail_out)
                }
                if status == Z_STREAM_END {
                    if result.readableBytes > limit { return (0, .tooLong) }
                    return (0, stream.avail_in == 0 ? .message(result) : .damaged)
                }
                guard status == Z_OK else { return (0, .damaged) }
            }
        }
    }

    /// A sealed message in the call's encoding; as it is when that would not make it shorter.
    package func encoded(_ message: ByteBuffer, _ allocator: ByteBufferAllocator) -> ByteBuffer {
        guard case .gzip = self, message.readableBytes >= Self.leastBytes + MessageBuffer.prefixBytes else {
            return message
        }
        var stream = z_stream()
        // The fastest level: the reader wants fewer bytes, the loop has other clients.
        guard
            deflateInit2_(
                &stream,
                Z_BEST_SPEED,
                Z_DEFLATED,
                Self.gzipWindow,
                8,
                Z_DEFAULT_STRATEGY,
                ZLIB_VERSION,
                Int32(MemoryLayout<z_stream>.size)
            ) == Z_OK
        else { return message }
        defer { deflateEnd(&stream) }
        var plain = message
        plain.moveReaderIndex(forwardBy: MessageBuffer.prefixBytes)
        let room = plain.readableBytes
        var result = MessageBuffer.make(allocator, capacity: room)
        let isShorter = plain.readWithUnsafeMutableReadableBytes { input -> (Int, Bool) in
            stream.next_in = input.baseAddress?.assumingMemoryBound(to: UInt8.self)
            stream.avail_in = UInt32(input.count)
            var status = Z_OK
            result.writeWithUnsafeMutableBytes(minimumWritableBytes: room) { output in
                stream.next_out = output.baseAddress?.assumingMemoryBound(to: UInt8.self)
                stream.avail_out = UInt32(room)
                status = deflate(&stream, Z_FINISH)
                return room - Int(stream.avail_out)
            }
            return (0, status == Z_STREAM_END)
        }
        guard isShorter else { return message }
        MessageBuffer.seal(&result)
        result.setInteger(UInt8(1), at: result.readerIndex)
        return result
    }
}
