public import NIOCore

/// A reply under construction: the wire form's five-byte prefix, then the message.
///
/// Every service builds its replies this way, whatever form the client speaks; the JSON form skips the prefix.
public enum MessageBuffer {
    /// Bytes of the prefix: a flag for compression and the length.
    public static let prefixBytes = 5

    /// A buffer with room for the prefix and a message of `capacity` bytes.
    public static func make(_ allocator: ByteBufferAllocator, capacity: Int) -> ByteBuffer {
        var buffer = allocator.buffer(capacity: capacity + prefixBytes)
        buffer.writeRepeatingByte(0, count: prefixBytes)
        return buffer
    }

    /// Writes the length of the message into its prefix.
    public static func seal(_ buffer: inout ByteBuffer) {
        seal(&buffer, length: buffer.readableBytes - prefixBytes)
    }

    /// Writes a length into the prefix of a message that goes on in other buffers.
    public static func seal(_ buffer: inout ByteBuffer, length: Int) {
        buffer.setInteger(UInt32(length), at: buffer.readerIndex + 1)
    }
}
