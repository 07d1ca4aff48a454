/// Writes the system state: numbers of eight bytes, everything else with its length before it.
struct StateWriter {
    private(set) var bytes: Bytes = []

    mutating func write(_ number: Int64) {
        withUnsafeBytes(of: number.bigEndian) { bytes.append(contentsOf: $0) }
    }

    mutating func write(_ flag: Bool) { write(Int64(flag ? 1 : 0)) }

    mutating func write(_ part: Bytes) {
        write(Int64(part.count))
        bytes += part
    }

    mutating func write(_ text: String) { write(Bytes(text.utf8)) }

    mutating func write<Element>(_ list: [Element], _ body: (inout StateWriter, Element) -> Void) {
        write(Int64(list.count))
        for element in list { body(&self, element) }
    }
}

/// Reads what ``StateWriter`` has written.
struct StateReader {
    private var rest: ArraySlice<UInt8>

    init(_ bytes: Bytes) { rest = bytes[...] }

    static var damaged: DriverFailure {
        DriverFailure(.corrupt, "the row in drover_system is damaged; restore the database from a backup")
    }

    mutating func number() throws -> Int64 {
        guard rest.count >= 8 else { throw Self.damaged }
        defer { rest.removeFirst(8) }
        return rest.prefix(8).reduce(0) { $0 << 8 | Int64($1) }
    }

    mutating func flag() throws -> Bool { try number() != 0 }

    mutating func part() throws -> Bytes {
        let count = try number()
        guard count >= 0, count <= rest.count else { throw Self.damaged }
        defer { rest.removeFirst(Int(count)) }
        return Bytes(rest.prefix(Int(count)))
    }

    mutating func text() throws -> String { String(decoding: try part(), as: UTF8.self) }

    mutating func list<Element>(_ body: (inout StateReader) throws -> Element) throws -> [Element] {
        let count = try number()
        // Every element is eight bytes at least.
        guard count >= 0, count <= rest.count else { throw Self.damaged }
        return try (0..<count).map { _ in try body(&self) }
    }
}
