#if canImport(Glibc)
    import Glibc
#elseif canImport(Musl)
    import Musl
#elseif canImport(Darwin)
    import Darwin
#endif

/// Sizes of keys and values.
enum SizeDistribution: Sendable, Equatable, CustomStringConvertible {
    case fixed(Int)
    case uniform(Int, Int)
    /// Small sizes often, large ones seldom: rank r has the weight 1/r, and the sizes lie evenly between the two.
    case zipf(Int, Int)

    /// Reads `1024`, `uniform:100-4000` or `zipf:100-65536`.
    init?(_ text: String) {
        if let bytes = Int(text), (0...(64 << 20)).contains(bytes) {
            self = .fixed(bytes)
            return
        }
        let parts = text.split(separator: ":")
        guard parts.count == 2 else { return nil }
        let ends = parts[1].split(separator: "-").compactMap { Int($0) }
        guard ends.count == 2, ends[0] >= 0, ends[1] >= ends[0], ends[1] <= 64 << 20 else { return nil }
        switch parts[0] {
        case "uniform": self = .uniform(ends[0], ends[1])
        case "zipf": self = .zipf(ends[0], ends[1])
        default: return nil
        }
    }

    var description: String {
        switch self {
        case .fixed(let bytes): "\(bytes)"
        case .uniform(let low, let high): "uniform:\(low)-\(high)"
        case .zipf(let low, let high): "zipf:\(low)-\(high)"
        }
    }

    func next(_ random: inout FastRandom) -> Int {
        switch self {
        case .fixed(let bytes): bytes
        case .uniform(let low, let high): low + random.next(below: high - low + 1)
        case .zipf(let low, let high): low + (high - low) * random.zipf(100) / 99
        }
    }

    var largest: Int {
        switch self {
        case .fixed(let bytes): bytes
        case .uniform(_, let high), .zipf(_, let high): high
        }
    }
}

/// In which order keys are used.
enum KeyOrder: String, Sendable, CaseIterable {
    case random, sequential
    /// A few keys often, most seldom.
    case zipf
}

/// Random numbers fast enough not to be noticed beside a call. Source: Steele, Lea, Flood, "SplitMix".
struct FastRandom: RandomNumberGenerator, Sendable {
    private var state: UInt64

    init(seed: UInt64) { state = seed }

    mutating func next() -> UInt64 {
        state &+= 0x9e37_79b9_7f4a_7c15
        var z = state
        z = (z ^ (z >> 30)) &* 0xbf58_476d_1ce4_e5b9
        z = (z ^ (z >> 27)) &* 0x94d0_49bb_1331_11eb
        return z ^ (z >> 31)
    }

    mutating func next(below limit: Int) -> Int {
        Int(UInt64(limit).multipliedFullWidth(by: next()).high)
    }

    /// A number below `limit`, where n is drawn with a weight of about 1/(n + 1).
    mutating func zipf(_ limit: Int) -> Int {
        let unit = Double(next() >> 11) / Double(1 << 53)
        return min(limit - 1, Int(pow(Double(limit) + 1, unit)) - 1)
    }
}
