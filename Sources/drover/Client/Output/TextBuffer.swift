import EtcdAPI

/// Lines to be printed: bytes, since keys and values need not be text.
struct TextBuffer {
    private(set) var bytes: [UInt8] = []

    mutating func line(_ text: String) {
        bytes.append(contentsOf: text.utf8)
        bytes.append(0x0a)
    }

    mutating func add(_ text: String) { bytes.append(contentsOf: text.utf8) }
    mutating func add(_ more: some Sequence<UInt8>) { bytes.append(contentsOf: more) }

    mutating func line(_ more: some Sequence<UInt8>, hex: Bool) {
        if hex { add(Self.hexadecimal(more)) } else { add(more) }
        bytes.append(0x0a)
    }

    /// `\x6b\x31`, as etcdctl's `--hex` has it.
    static func hexadecimal(_ bytes: some Sequence<UInt8>) -> String {
        bytes.map { "\\x" + padded($0, 2) }.joined()
    }

    static func padded(_ number: some BinaryInteger, _ digits: Int) -> String {
        let text = String(number, radix: 16)
        return String(repeating: "0", count: max(0, digits - text.count)) + text
    }

    /// A key with its value.
    mutating func pair(_ kv: PBKeyValue, hex: Bool, valueOnly: Bool = false) {
        if !valueOnly { line(kv.key, hex: hex) }
        line(kv.value, hex: hex)
    }
}
