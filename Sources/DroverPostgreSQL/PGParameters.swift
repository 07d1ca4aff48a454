import Drover

/// Parameters of one statement in PostgreSQL's binary format, in one buffer.
struct PGParameters {
    private(set) var bytes: [UInt8] = []
    /// Where each parameter lies in `bytes`.
    private(set) var ranges: [Range<Int>] = []

    init() {}

    mutating func add(_ value: Int64) {
        let start = bytes.count
        append(value)
        ranges.append(start..<bytes.count)
    }

    mutating func add(_ value: Bytes) {
        let start = bytes.count
        bytes += value
        ranges.append(start..<bytes.count)
    }

    mutating func add(_ value: String) { add(Bytes(value.utf8)) }

    /// An array of `int8`.
    mutating func add(_ values: [Int64]) {
        let start = bytes.count
        bytes.reserveCapacity(start + 20 + values.count * 12)
        appendArrayHead(element: 20, count: values.count)
        for value in values {
            append(Int32(8))
            append(value)
        }
        ranges.append(start..<bytes.count)
    }

    /// An array of `bytea`.
    mutating func add(_ values: [Bytes]) {
        let start = bytes.count
        bytes.reserveCapacity(start + 20 + values.reduce(0) { $0 + $1.count + 4 })
        appendArrayHead(element: 17, count: values.count)
        for value in values {
            append(Int32(value.count))
            bytes += value
        }
        ranges.append(start..<bytes.count)
    }

    // Source: PostgreSQL's array_recv: dimensions, a flag for nulls, the element's type, length and lower bound.
    private mutating func appendArrayHead(element: Int32, count: Int) {
        append(Int32(count == 0 ? 0 : 1))
        append(Int32(0))
        append(element)
        if count == 0 { return }
        append(Int32(count))
        append(Int32(1))
    }

    private mutating func append<I: FixedWidthInteger>(_ value: I) {
        withUnsafeBytes(of: value.bigEndian) { bytes.append(contentsOf: $0) }
    }
}
