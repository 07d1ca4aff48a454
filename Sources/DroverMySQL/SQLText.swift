import Drover

/// Statements of one flight as text, which the server takes together.
///
/// Keys and values are binary string literals: the session's character set is `binary` and backslashes escape, so that
/// a quote and a backslash are all that needs escaping. Half the bytes of hexadecimal, and half the parser's work.
struct SQLText {
    private(set) var bytes: [UInt8] = []
    private(set) var statements = 0

    init(capacity: Int = 512) { bytes.reserveCapacity(capacity) }

    /// Adds a whole statement.
    mutating func add(_ sql: String) {
        bytes += sql.utf8
        end()
    }

    /// Ends the statement that was appended in parts.
    mutating func end() {
        bytes.append(UInt8(ascii: ";"))
        statements += 1
    }

    mutating func append(_ part: StaticString) {
        part.withUTF8Buffer { bytes += $0 }
    }

    mutating func append(text part: String) { bytes += part.utf8 }

    mutating func append(_ number: Int64) {
        if number >= 0 && number < 10 {
            bytes.append(48 + UInt8(number))
        } else {
            bytes += String(number).utf8
        }
    }

    mutating func append(_ literal: Bytes) {
        bytes.append(UInt8(ascii: "'"))
        literal.withUnsafeBufferPointer { source in
            var start = 0
            for i in source.indices where source[i] == 0x27 || source[i] == 0x5c {
                bytes += source[start..<i]
                bytes.append(0x5c)
                start = i
            }
            bytes += source[start...]
        }
        bytes.append(UInt8(ascii: "'"))
    }

    /// A list in parentheses.
    mutating func append(list: some Sequence<Bytes>) {
        separated(list) { $0.append($1) }
    }

    mutating func append(list: some Sequence<Int64>) {
        separated(list) { $0.append($1) }
    }

    private mutating func separated<S: Sequence>(_ list: S, _ body: (inout SQLText, S.Element) -> Void) {
        bytes.append(UInt8(ascii: "("))
        var isFirst = true
        for element in list {
            if !isFirst { bytes.append(UInt8(ascii: ",")) }
            isFirst = false
            body(&self, element)
        }
        bytes.append(UInt8(ascii: ")"))
    }

    /// Rows of VALUES, divided by commas.
    mutating func rows<C: Collection>(_ rows: C, _ body: (inout SQLText, C.Element) -> Void) {
        var isFirst = true
        for row in rows {
            if !isFirst { bytes.append(UInt8(ascii: ",")) }
            isFirst = false
            bytes.append(UInt8(ascii: "("))
            body(&self, row)
            bytes.append(UInt8(ascii: ")"))
        }
    }

    mutating func comma() { bytes.append(UInt8(ascii: ",")) }
}
