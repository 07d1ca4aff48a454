import DequeModule

/// Decodes header blocks. Source: RFC 7541.
///
/// Table entries hold what a header means, not its text: a client that repeats its headers, as all do, costs one lookup
/// a header and no allocation.
package struct HPACKDecoder {
    package struct Malformed: Error {}

    package init() {}

    private struct Entry {
        var name: HeaderField.Name
        var field: HeaderField
        /// The size by RFC 7541, 4.1: name, value and 32.
        var size: Int
        /// The name's part of the size, with the 32.
        var nameSize: Int
    }

    /// The size of the table that the client may use, in bytes: the protocol's default, which we do not change.
    private static let tableLimit = 4_096

    private var dynamic: Deque<Entry> = []
    private var dynamicSize = 0
    private var dynamicLimit = tableLimit

    private static let fixed: [Entry] = {
        let entries: [(String, String)] = [
            (":authority", ""), (":method", "GET"), (":method", "POST"), (":path", "/"), (":path", "/index.html"),
            (":scheme", "http"), (":scheme", "https"), (":status", "200"), (":status", "204"), (":status", "206"),
            (":status", "304"), (":status", "400"), (":status", "404"), (":status", "500"), ("accept-charset", ""),
            ("accept-encoding", "gzip, deflate"), ("accept-language", ""), ("accept-ranges", ""), ("accept", ""),
            ("access-control-allow-origin", ""), ("age", ""), ("allow", ""), ("authorization", ""),
            ("cache-control", ""), ("content-disposition", ""), ("content-encoding", ""), ("content-language", ""),
            ("content-length", ""), ("content-location", ""), ("content-range", ""), ("content-type", ""),
            ("cookie", ""), ("date", ""), ("etag", ""), ("expect", ""), ("expires", ""), ("from", ""), ("host", ""),
            ("if-match", ""), ("if-modified-since", ""), ("if-none-match", ""), ("if-range", ""),
            ("if-unmodified-since", ""), ("last-modified", ""), ("link", ""), ("location", ""), ("max-forwards", ""),
            ("proxy-authenticate", ""), ("proxy-authorization", ""), ("range", ""), ("referer", ""), ("refresh", ""),
            ("retry-after", ""), ("server", ""), ("set-cookie", ""), ("strict-transport-security", ""),
            ("transfer-encoding", ""), ("user-agent", ""), ("vary", ""), ("via", ""), ("www-authenticate", ""),
        ]
        return entries.map { name, value in
            Array(name.utf8).withUnsafeBytes { rawName in
                Array(value.utf8).withUnsafeBytes { rawValue in
                    let known = HeaderField.Name(rawName)
                    return Entry(
                        name: known,
                        field: HeaderField(known, rawValue),
                        size: rawName.count + rawValue.count + 32,
                        nameSize: rawName.count + 32
                    )
                }
            }
        }
    }()

    private func entry(_ index: Int) throws(Malformed) -> Entry {
        if index >= 1 && index <= Self.fixed.count { return Self.fixed[index - 1] }
        let position = index - Self.fixed.count - 1
        guard position >= 0, position < dynamic.count else { throw Malformed() }
        return dynamic[position]
    }

    private mutating func insert(_ entry: Entry) {
        dynamicSize += entry.size
        dynamic.prepend(entry)
        evict()
    }

    private mutating func evict() {
        while dynamicSize > dynamicLimit, let last = dynamic.popLast() { dynamicSize -= last.size }
    }

    /// Decodes a whole block.
    package mutating func decode(_ block: UnsafeRawBufferPointer, into head: inout RequestHead) throws(Malformed) {
        var reader = Reader(bytes: block)
        var mayResize = true
        while let first = reader.byte() {
            if first & 0x80 != 0 {
                head.take(try entry(try reader.integer(first, bits: 7)).field)
                mayResize = false
            } else if first & 0xe0 == 0x20 {
                let size = try reader.integer(first, bits: 5)
                guard mayResize, size <= Self.tableLimit else { throw Malformed() }
                dynamicLimit = size
                evict()
            } else {
                let isIndexed = first & 0xc0 == 0x40
                try literal(&reader, first, isIndexed: isIndexed, &head)
                mayResize = false
            }
        }
    }

    private mutating func literal(
        _ reader: inout Reader,
        _ first: UInt8,
        isIndexed: Bool,
        _ head: inout RequestHead
    ) throws(Malformed) {
        let index = try reader.integer(first, bits: isIndexed ? 6 : 4)
        let name: HeaderField.Name
        var size = 32
        if index == 0 {
            let text = try reader.string()
            // RFC 9113, 8.2.1: names are in lower case.
            if text.contains(where: { $0 >= 0x41 && $0 <= 0x5a }) { head.isMalformed = true }
            size += text.count
            name = text.withUnsafeBytes { HeaderField.Name($0) }
        } else {
            let known = try entry(index)
            name = known.name
            size = known.nameSize
        }
        let value = try reader.string()
        let field = value.withUnsafeBytes { HeaderField(name, $0) }
        head.take(field)
        if isIndexed { insert(Entry(name: name, field: field, size: size + value.count, nameSize: size)) }
    }

    private struct Reader {
        var bytes: UnsafeRawBufferPointer
        var position = 0

        init(bytes: UnsafeRawBufferPointer) {
            self.bytes = bytes
        }

        mutating func byte() -> UInt8? {
            guard position < bytes.count else { return nil }
            defer { position += 1 }
            return bytes[position]
        }

        /// RFC 7541, 5.1. Nothing here is larger than 2^24.
        mutating func integer(_ first: UInt8, bits: Int) throws(Malformed) -> Int {
            let mask = (1 << bits) - 1
            var value = Int(first) & mask
            if value < mask { return value }
            var shift = 0
            while let next = byte() {
                value += Int(next & 0x7f) << shift
                if value > 1 << 24 { throw Malformed() }
                if next & 0x80 == 0 { return value }
                shift += 7
                if shift > 28 { throw Malformed() }
            }
            throw Malformed()
        }

        mutating func string() throws(Malformed) -> [UInt8] {
            guard let first = byte() else { throw Malformed() }
            let length = try integer(first, bits: 7)
            guard length <= bytes.count - position else { throw Malformed() }
            let raw = UnsafeRawBufferPointer(rebasing: bytes[position..<(position + length)])
            position += length
            if first & 0x80 == 0 { return Array(raw) }
            guard let decoded = HPACKHuffman.decode(raw) else { throw Malformed() }
            return decoded
        }
    }
}
