public import NIOCore
public import SwiftProtobuf

extension MessageBuffer {
    /// A sealed reply from a generated message. For replies that are not hot.
    public static func make(_ allocator: ByteBufferAllocator, _ message: some Message) throws -> ByteBuffer {
        let bytes: [UInt8] = try message.serializedBytes()
        var buffer = make(allocator, capacity: bytes.count)
        buffer.writeBytes(bytes)
        seal(&buffer)
        return buffer
    }
}

extension Message {
    /// Decodes a message that is not hot.
    ///
    /// - Throws: ``WireError/malformed``.
    public init(wire buffer: ByteBuffer) throws {
        do {
            try self.init(serializedBytes: Array(buffer.readableBytesView))
        } catch {
            throw WireError.malformed
        }
    }
}
