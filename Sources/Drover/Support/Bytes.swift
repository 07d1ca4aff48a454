#if canImport(Glibc)
    import Glibc
#elseif canImport(Musl)
    import Musl
#elseif canImport(Darwin)
    import Darwin
#endif

/// Keys and values are arbitrary bytes, as in etcd.
///
/// An array is one allocation, eight bytes wide and free of Foundation. `ByteBuffer` slices were tried first: a slice
/// of 1 KiB kept a whole socket read buffer alive for as long as its event stayed in the feed.
public typealias Bytes = [UInt8]

extension [UInt8] {
    /// Bytewise order, the order of keys in etcd: shorter first when one is a prefix of the other.
    public static func precedes(_ a: [UInt8], _ b: [UInt8]) -> Bool {
        a.withUnsafeBytes { a in b.withUnsafeBytes { b in precedes(a, b) } }
    }

    /// The same of bytes where they lie.
    public static func precedes(_ a: UnsafeRawBufferPointer, _ b: UnsafeRawBufferPointer) -> Bool {
        let common = Swift.min(a.count, b.count)
        if common > 0 {
            let order = memcmp(a.baseAddress!, b.baseAddress!, common)
            if order != 0 { return order < 0 }
        }
        return a.count < b.count
    }

    /// The smallest key greater than this one: itself followed by a zero byte.
    public var successor: [UInt8] { self + [0] }
}
