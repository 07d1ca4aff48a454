/// Text as the Go programs write it that etcdctl's users' scripts read.
enum GoText {
    /// `%q`: text in double quotes, with escapes for what cannot be printed.
    static func quoted(_ bytes: [UInt8]) -> String {
        var result = "\""
        var rest = bytes[...]
        while let first = rest.first {
            if first < 0x80 {
                rest = rest.dropFirst()
                result += escaped(first)
                continue
            }
            var decoder = UTF8()
            var iterator = rest.makeIterator()
            if case .scalarValue(let scalar) = decoder.decode(&iterator) {
                result.unicodeScalars.append(scalar)
                rest = rest.dropFirst(UTF8.width(scalar))
            } else {
                result += "\\x" + TextBuffer.padded(first, 2)
                rest = rest.dropFirst()
            }
        }
        return result + "\""
    }

    private static let escapes: [UInt8: String] = [
        7: "\\a", 8: "\\b", 9: "\\t", 10: "\\n", 11: "\\v", 12: "\\f", 13: "\\r", 0x22: "\\\"", 0x5c: "\\\\",
    ]

    private static func escaped(_ byte: UInt8) -> String {
        if let escape = escapes[byte] { return escape }
        if byte < 0x20 || byte == 0x7f { return "\\x" + TextBuffer.padded(byte, 2) }
        return String(UnicodeScalar(byte))
    }

    /// Reads what ``quoted(_:)`` or a back-quoted string of Go's has at its start.
    ///
    /// - Returns: the bytes, and what follows; nil when it is not quoted text.
    static func unquoted(_ text: Substring) -> (bytes: [UInt8], rest: Substring)? {
        guard let quote = text.first, quote == "\"" || quote == "`" else { return nil }
        var rest = Array(text.dropFirst().utf8)[...]
        var bytes: [UInt8] = []
        while let byte = rest.popFirst() {
            if byte == quote.asciiValue { return (bytes, Substring(decoding: rest, as: UTF8.self)) }
            guard byte == 0x5c, quote == "\"" else {
                bytes.append(byte)
                continue
            }
            guard let next = rest.popFirst() else { return nil }
            switch next {
            case UInt8(ascii: "x"), UInt8(ascii: "u"), UInt8(ascii: "U"):
                let digits = next == UInt8(ascii: "x") ? 2 : next == UInt8(ascii: "u") ? 4 : 8
                let number = UInt32(String(decoding: rest.prefix(digits), as: UTF8.self), radix: 16)
                guard let number, rest.count >= digits else { return nil }
                rest = rest.dropFirst(digits)
                if digits == 2 {
                    bytes.append(UInt8(number))
                } else if let scalar = UnicodeScalar(number) {
                    bytes.append(contentsOf: String(Character(scalar)).utf8)
                } else {
                    return nil
                }
            default:
                guard let byte = escapes.first(where: { $0.value.utf8.last == next })?.key else { return nil }
                bytes.append(byte)
            }
        }
        return nil
    }

    /// A duration: `1.5ms`, `2.000001s`, `1m3s`.
    static func duration(_ nanoseconds: Int64) -> String {
        func decimal(_ value: Int64, _ unit: Int64) -> String {
            var fraction = String(value % unit + unit).dropFirst()
            while fraction.last == "0" { fraction = fraction.dropLast() }
            return fraction.isEmpty ? "\(value / unit)" : "\(value / unit).\(fraction)"
        }
        switch nanoseconds {
        case ..<1_000: return "\(nanoseconds)ns"
        case ..<1_000_000: return decimal(nanoseconds, 1_000) + "µs"
        case ..<1_000_000_000: return decimal(nanoseconds, 1_000_000) + "ms"
        case ..<60_000_000_000: return decimal(nanoseconds, 1_000_000_000) + "s"
        default: return "\(nanoseconds / 60_000_000_000)m" + decimal(nanoseconds % 60_000_000_000, 1_000_000_000) + "s"
        }
    }

    /// A number of bytes in thousands: `25 kB`.
    static func size(_ bytes: Int64) -> String {
        if bytes < 10 { return "\(bytes) B" }
        let units = ["B", "kB", "MB", "GB", "TB", "PB", "EB"]
        var value = Double(bytes)
        var unit = 0
        while value >= 1_000 && unit < units.count - 1 {
            value /= 1_000
            unit += 1
        }
        let tenths = Int((value * 10 + 0.5).rounded(.down))
        return tenths < 100 ? "\(tenths / 10).\(tenths % 10) \(units[unit])" : "\((tenths + 5) / 10) \(units[unit])"
    }
}
