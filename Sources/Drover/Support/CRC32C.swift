/// The checksum CRC-32C (Castagnoli), eight bytes at a time. Source: RFC 3720, appendix B.4.
struct CRC32C {
    private static let tables: [[UInt32]] = {
        var tables = [[UInt32]](repeating: [UInt32](repeating: 0, count: 256), count: 8)
        for i in 0..<256 {
            var value = UInt32(i)
            for _ in 0..<8 { value = value & 1 == 1 ? value >> 1 ^ 0x82f6_3b78 : value >> 1 }
            tables[0][i] = value
        }
        for i in 0..<256 {
            for table in 1..<8 {
                let before = tables[table - 1][i]
                tables[table][i] = before >> 8 ^ tables[0][Int(before & 0xff)]
            }
        }
        return tables
    }()

    private var state: UInt32 = 0xffff_ffff

    var value: UInt32 { ~state }

    mutating func update(_ bytes: some Collection<UInt8>) {
        if bytes.withContiguousStorageIfAvailable({ update(UnsafeRawBufferPointer($0)) }) == nil {
            update(Bytes(bytes))
        }
    }

    mutating func update(_ bytes: UnsafeRawBufferPointer) {
        var crc = state
        var at = 0
        let tables = Self.tables
        tables.withUnsafeBufferPointer { tables in
            while bytes.count - at >= 8 {
                let word = UInt64(littleEndian: bytes.loadUnaligned(fromByteOffset: at, as: UInt64.self))
                let low = UInt32(truncatingIfNeeded: word) ^ crc
                let high = UInt32(truncatingIfNeeded: word >> 32)
                crc =
                    tables[7][Int(low & 0xff)] ^ tables[6][Int(low >> 8 & 0xff)]
                    ^ tables[5][Int(low >> 16 & 0xff)] ^ tables[4][Int(low >> 24)]
                    ^ tables[3][Int(high & 0xff)] ^ tables[2][Int(high >> 8 & 0xff)]
                    ^ tables[1][Int(high >> 16 & 0xff)] ^ tables[0][Int(high >> 24)]
                at += 8
            }
            while at < bytes.count {
                crc = crc >> 8 ^ tables[0][Int((crc ^ UInt32(bytes[at])) & 0xff)]
                at += 1
            }
        }
        state = crc
    }
}
