import Drover
import NIOCore

#if canImport(Glibc)
    import Glibc
#elseif canImport(Musl)
    import Musl
#elseif canImport(Darwin)
    import Darwin
#endif

/// Sizes of fields on the wire.
enum WireSize {
    @inline(__always)
    static func varint(_ value: UInt64) -> Int {
        // Seven bits a byte: 9/64 of the bit length, rounded up, at least one.
        let bits = 64 - (value | 1).leadingZeroBitCount
        return (bits * 9 + 64) >> 6
    }

    /// An integer field with a tag of one byte; nothing when it is zero.
    @inline(__always)
    static func field(_ value: Int64) -> Int {
        value == 0 ? 0 : 1 + varint(UInt64(bitPattern: value))
    }

    @inline(__always)
    static func field(_ value: UInt64) -> Int {
        value == 0 ? 0 : 1 + varint(value)
    }

    /// A length-delimited field with a tag of one byte; nothing when it is empty.
    @inline(__always)
    static func field(bytes count: Int) -> Int {
        count == 0 ? 0 : message(count)
    }

    /// A message field with a tag of one byte, also when it is empty.
    @inline(__always)
    static func message(_ count: Int) -> Int {
        1 + varint(UInt64(count)) + count
    }
}

/// Writes the protobuf wire format into memory whose size was computed before.
struct WireWriter {
    private var next: UnsafeMutablePointer<UInt8>

    init(_ base: UnsafeMutableRawPointer) {
        next = base.assumingMemoryBound(to: UInt8.self)
    }

    @inline(__always)
    mutating func varint(_ value: UInt64) {
        var value = value
        while value >= 0x80 {
            next.pointee = UInt8(truncatingIfNeeded: value) | 0x80
            next += 1
            value >>= 7
        }
        next.pointee = UInt8(truncatingIfNeeded: value)
        next += 1
    }

    @inline(__always)
    mutating func byte(_ value: UInt8) {
        next.pointee = value
        next += 1
    }

    @inline(__always)
    mutating func field(_ number: UInt8, _ value: Int64) {
        if value == 0 { return }
        byte(number << 3)
        varint(UInt64(bitPattern: value))
    }

    @inline(__always)
    mutating func field(_ number: UInt8, _ value: UInt64) {
        if value == 0 { return }
        byte(number << 3)
        varint(value)
    }

    @inline(__always)
    mutating func field(_ number: UInt8, _ value: Bool) {
        if !value { return }
        byte(number << 3)
        byte(1)
    }

    @inline(__always)
    mutating func field(_ number: UInt8, bytes: UnsafeRawBufferPointer) {
        if bytes.isEmpty { return }
        header(number, bytes.count)
        raw(bytes)
    }

    @inline(__always)
    mutating func field(_ number: UInt8, bytes: Bytes) {
        bytes.withUnsafeBytes { field(number, bytes: $0) }
    }

    /// The tag and length of a length-delimited field.
    @inline(__always)
    mutating func header(_ number: UInt8, _ length: Int) {
        byte(number << 3 | 2)
        varint(UInt64(length))
    }

    @inline(__always)
    mutating func raw(_ bytes: UnsafeRawBufferPointer) {
        guard let base = bytes.baseAddress, !bytes.isEmpty else { return }
        memcpy(next, base, bytes.count)
        next += bytes.count
    }
}

extension ByteBuffer {
    /// Appends `size` bytes that `body` writes.
    @inline(__always)
    mutating func writeWire(_ size: Int, _ body: (inout WireWriter) -> Void) {
        writeWithUnsafeMutableBytes(minimumWritableBytes: size) { memory in
            guard let base = memory.baseAddress else { return 0 }
            var writer = WireWriter(base)
            body(&writer)
            return size
        }
    }
}
