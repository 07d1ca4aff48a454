import Drover

/// Why a message could not be decoded.
public enum WireError: Error, Sendable {
    /// It ends in the middle of a field.
    case truncated
    /// A tag, a length or a varint makes no sense.
    case malformed
    /// Transactions are nested deeper than any limit on operations allows.
    case tooDeep
}

/// Reads the protobuf wire format from memory that is lent.
///
/// Source: protobuf's "Encoding" specification. Unknown fields are skipped, as proto3 asks.
package struct WireReader {
    private var next: UnsafePointer<UInt8>
    private let end: UnsafePointer<UInt8>

    package init(_ bytes: UnsafeRawBufferPointer) {
        if let base = bytes.baseAddress {
            next = base.assumingMemoryBound(to: UInt8.self)
            end = next + bytes.count
        } else {
            next = UnsafePointer(bitPattern: 1)!
            end = next
        }
    }

    package var isAtEnd: Bool {
        @inline(__always) get { next >= end }
    }

    @inline(__always)
    package mutating func varint() throws(WireError) -> UInt64 {
        if next < end, next.pointee < 0x80 {
            defer { next += 1 }
            return UInt64(next.pointee)
        }
        return try longVarint()
    }

    private mutating func longVarint() throws(WireError) -> UInt64 {
        var result: UInt64 = 0
        var shift: UInt64 = 0
        while next < end {
            let byte = next.pointee
            next += 1
            result |= UInt64(byte & 0x7f) << shift
            if byte < 0x80 { return result }
            shift += 7
            if shift >= 70 { throw .malformed }
        }
        throw .truncated
    }

    @inline(__always)
    package mutating func int64() throws(WireError) -> Int64 { Int64(bitPattern: try varint()) }

    @inline(__always)
    package mutating func bool() throws(WireError) -> Bool { try varint() != 0 }

    /// The field number and wire type of the next field.
    @inline(__always)
    package mutating func tag() throws(WireError) -> (field: Int, type: Int) {
        let raw = try varint()
        let field = Int(truncatingIfNeeded: raw >> 3)
        if field <= 0 || field > 0x1fff_ffff { throw .malformed }
        return (field, Int(raw & 7))
    }

    /// The bytes of a length-delimited field, lent.
    @inline(__always)
    package mutating func lengthDelimited() throws(WireError) -> UnsafeRawBufferPointer {
        let length = try varint()
        guard length <= UInt64(end - next) else { throw .truncated }
        let bytes = UnsafeRawBufferPointer(start: next, count: Int(length))
        next += Int(length)
        return bytes
    }

    @inline(__always)
    mutating func bytes() throws(WireError) -> Bytes { Bytes(try lengthDelimited()) }

    /// Skips a field of the given type. `depth` bounds groups, which nobody sends.
    package mutating func skip(_ type: Int, field: Int, depth: Int = 0) throws(WireError) {
        switch type {
        case 0: _ = try varint()
        case 1: try advance(8)
        case 2: _ = try lengthDelimited()
        case 3:
            if depth > 16 { throw .malformed }
            while true {
                let (inner, innerType) = try tag()
                if innerType == 4 {
                    if inner != field { throw .malformed }
                    return
                }
                try skip(innerType, field: inner, depth: depth + 1)
            }
        case 5: try advance(4)
        default: throw .malformed
        }
    }

    private mutating func advance(_ count: Int) throws(WireError) {
        guard end - next >= count else { throw .truncated }
        next += count
    }
}
