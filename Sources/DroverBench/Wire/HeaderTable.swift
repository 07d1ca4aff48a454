/// Writes the headers of requests as etcd's own clients do: each once, and by its place in the compression table from then
/// on. Source: RFC 7541.
struct HeaderTable {
    private struct Field: Hashable {
        var nameIndex: Int
        var name: String
        var value: String
    }

    private var places: [Field: Int] = [:]
    private let isEncrypted: Bool
    private let authority: String
    private let token: String?

    init(authority: String, isEncrypted: Bool, token: String?) {
        self.authority = authority
        self.isEncrypted = isEncrypted
        self.token = token
    }

    /// The block of a call. The table is far from full: a load has a handful of paths.
    mutating func block(_ path: String) -> [UInt8] {
        var block: [UInt8] = [0x83, isEncrypted ? 0x87 : 0x86]
        write(Field(nameIndex: 4, name: "", value: path), &block)
        write(Field(nameIndex: 1, name: "", value: authority), &block)
        write(Field(nameIndex: 31, name: "", value: "application/grpc"), &block)
        write(Field(nameIndex: 0, name: "te", value: "trailers"), &block)
        if let token { write(Field(nameIndex: 0, name: "token", value: token), &block) }
        return block
    }

    private mutating func write(_ field: Field, _ block: inout [UInt8]) {
        if let place = places[field] {
            // The newest entry is the first behind the 61 fixed ones.
            Self.integer(62 + places.count - 1 - place, bits: 7, first: 0x80, &block)
            return
        }
        Self.integer(field.nameIndex, bits: 6, first: 0x40, &block)
        if field.nameIndex == 0 { Self.string(field.name, &block) }
        Self.string(field.value, &block)
        places[field] = places.count
    }

    private static func integer(_ value: Int, bits: Int, first: UInt8, _ block: inout [UInt8]) {
        let most = (1 << bits) - 1
        if value < most {
            block.append(first | UInt8(value))
            return
        }
        block.append(first | UInt8(most))
        var rest = value - most
        while rest > 127 {
            block.append(UInt8(rest & 127) | 128)
            rest >>= 7
        }
        block.append(UInt8(rest))
    }

    private static func string(_ text: String, _ block: inout [UInt8]) {
        integer(text.utf8.count, bits: 7, first: 0, &block)
        block += Array(text.utf8)
    }
}
