/// A hash of everything a store holds up to a revision, equal to etcd's for the same history.
public struct HistoryHash: Sendable, Hashable {
    /// CRC-32C over the rows of history.
    public var value: UInt32
    /// The revision it was taken at.
    public var revision: Int64
    /// The compaction mark.
    public var compactedRevision: Int64
    /// The store's revision.
    public var currentRevision: Int64
}

/// Hashes history row by row. Source: etcd `server/storage/mvcc/hash.go`.
struct HistoryHasher {
    private var crc = CRC32C()
    private let compacted: Int64
    private let revision: Int64
    /// Events at or below the mark that are not counted, whether the sweep has been over them or not.
    private let replaced: Set<LogPosition>
    private var buffer: Bytes = []

    init(compacted: Int64, revision: Int64, replaced: Set<LogPosition>) {
        self.compacted = compacted
        self.revision = revision
        self.replaced = replaced
        crc.update(Array("key".utf8))
    }

    var value: UInt32 { crc.value }

    mutating func add(_ row: RowView) {
        let isDeletion = row.version == 0
        if row.main > revision { return }
        if row.main <= compacted {
            // etcd's older versions delete the one at the mark itself, newer ones keep it: neither counts it.
            if isDeletion || replaced.contains(LogPosition(main: row.main, sub: row.sub)) { return }
        }
        buffer.removeAll(keepingCapacity: true)
        append(big: row.main)
        buffer.append(UInt8(ascii: "_"))
        append(big: row.sub)
        if isDeletion { buffer.append(UInt8(ascii: "t")) }
        // The message as etcd's encoder writes it: fields in order, zeros left out.
        append(field: 1, row.key)
        if !isDeletion {
            append(field: 2, row.createRevision)
            append(field: 3, row.main)
            append(field: 4, row.version)
            append(field: 5, row.value)
            append(field: 6, row.lease)
        }
        crc.update(buffer)
    }

    private mutating func append(big number: Int64) {
        withUnsafeBytes(of: number.bigEndian) { buffer.append(contentsOf: $0) }
    }

    private mutating func append(varint number: UInt64) {
        var rest = number
        while rest > 127 {
            buffer.append(UInt8(truncatingIfNeeded: rest) | 0x80)
            rest >>= 7
        }
        buffer.append(UInt8(rest))
    }

    private mutating func append(field: UInt64, _ number: Int64) {
        if number == 0 { return }
        append(varint: field << 3)
        append(varint: UInt64(bitPattern: number))
    }

    private mutating func append(field: UInt64, _ bytes: UnsafeRawBufferPointer) {
        if bytes.isEmpty { return }
        append(varint: field << 3 | 2)
        append(varint: UInt64(bytes.count))
        buffer.append(contentsOf: bytes)
    }
}
