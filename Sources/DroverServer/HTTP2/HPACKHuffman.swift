/// Huffman decoding of header strings. Source: RFC 7541, appendix B.
///
/// The code is canonical: its words follow from their lengths, so only these are kept. Decoding walks a table of four
/// bits at a step, built once.
enum HPACKHuffman {
    /// The length in bits of each octet's code, and of the end mark's.
    private static let lengths: [UInt8] = [
        13, 23, 28, 28, 28, 28, 28, 28, 28, 24, 30, 28, 28, 30, 28, 28, 28, 28, 28, 28, 28, 28, 30, 28,
        28, 28, 28, 28, 28, 28, 28, 28, 6, 10, 10, 12, 13, 6, 8, 11, 10, 10, 8, 11, 8, 6, 6, 6,
        5, 5, 5, 6, 6, 6, 6, 6, 6, 6, 7, 8, 15, 6, 12, 10, 13, 6, 7, 7, 7, 7, 7, 7,
        7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 8, 7, 8, 13, 19, 13, 14, 6,
        15, 5, 6, 5, 6, 5, 6, 6, 6, 5, 7, 7, 6, 6, 6, 5, 6, 7, 6, 5, 5, 6, 7, 7,
        7, 7, 7, 15, 11, 14, 13, 28, 20, 22, 20, 20, 22, 22, 22, 23, 22, 23, 23, 23, 23, 23, 24, 23,
        24, 24, 22, 23, 24, 23, 23, 23, 23, 21, 22, 23, 22, 23, 23, 24, 22, 21, 20, 22, 22, 23, 23, 21,
        23, 22, 22, 24, 21, 22, 23, 23, 21, 21, 22, 21, 23, 22, 23, 23, 20, 22, 22, 22, 23, 22, 22, 23,
        26, 26, 20, 19, 22, 23, 22, 25, 26, 26, 26, 27, 27, 26, 24, 25, 19, 21, 26, 27, 27, 26, 27, 24,
        21, 21, 26, 26, 28, 27, 27, 27, 20, 24, 20, 21, 22, 21, 21, 23, 22, 22, 25, 25, 24, 24, 26, 23,
        26, 27, 26, 26, 27, 27, 27, 27, 27, 28, 27, 27, 27, 27, 27, 26, 30,
    ]

    private struct Step {
        /// The node to go on from; -1 is a word that does not exist.
        var next: Int16 = -1
        /// An octet that is complete with this step; -1 is none.
        var octet: Int16 = -1
    }

    /// Sixteen steps for each inner node, and whether a string may end there: only the beginning of the end mark, and
    /// less than eight bits of it, may be left.
    private static let table: (steps: [Step], mayEnd: [Bool]) = {
        var children: [(Int, Int)] = [(-1, -1)]
        var leaves: [Int: Int] = [:]
        let order = lengths.indices.sorted { (lengths[$0], $0) < (lengths[$1], $1) }
        var code: UInt32 = 0
        var length: UInt8 = 0
        for symbol in order {
            code <<= UInt32(lengths[symbol] - length)
            length = lengths[symbol]
            var node = 0
            for bit in stride(from: Int(length) - 1, through: 0, by: -1) {
                let one = code >> UInt32(bit) & 1 == 1
                var child = one ? children[node].1 : children[node].0
                if child < 0 {
                    children.append((-1, -1))
                    child = children.count - 1
                    if one { children[node].1 = child } else { children[node].0 = child }
                }
                node = child
            }
            leaves[node] = symbol
            code += 1
        }
        var steps = Array(repeating: Step(), count: children.count * 16)
        for node in children.indices where leaves[node] == nil {
            for nibble in 0..<16 {
                var at = node
                var step = Step()
                var isValid = true
                for bit in stride(from: 3, through: 0, by: -1) {
                    at = nibble >> bit & 1 == 1 ? children[at].1 : children[at].0
                    if at < 0 {
                        isValid = false
                        break
                    }
                    if let symbol = leaves[at] {
                        if symbol == 256 {
                            isValid = false
                            break
                        }
                        // No code is shorter than five bits: a step completes one octet at most.
                        step.octet = Int16(symbol)
                        at = 0
                    }
                }
                if isValid { step.next = Int16(at) }
                steps[node * 16 + nibble] = isValid ? step : Step()
            }
        }
        var mayEnd = Array(repeating: false, count: children.count)
        var node = 0
        for _ in 0..<8 {
            mayEnd[node] = true
            node = children[node].1
            if node < 0 { break }
        }
        return (steps, mayEnd)
    }()

    /// Decodes a string; nil when it is not valid.
    static func decode(_ bytes: UnsafeRawBufferPointer) -> [UInt8]? {
        var result: [UInt8] = []
        result.reserveCapacity(bytes.count * 2)
        var node = 0
        for byte in bytes {
            for nibble in [Int(byte >> 4), Int(byte & 15)] {
                let step = table.steps[node * 16 + nibble]
                if step.next < 0 { return nil }
                if step.octet >= 0 { result.append(UInt8(step.octet)) }
                node = Int(step.next)
            }
        }
        return table.mayEnd[node] ? result : nil
    }
}
