/// The keys of a folder.
struct KeyMaker: Sendable {
    private let prefix: [UInt8]
    private let size: SizeDistribution
    private let seed: UInt64

    init(prefix: String, size: SizeDistribution, seed: UInt64) {
        self.prefix = Array(prefix.utf8)
        self.size = size
        self.seed = seed
    }

    /// The key with that number, of a size that is always the same for it.
    func key(_ number: Int) -> [UInt8] {
        var digits = Array("\(number)".utf8)
        if digits.count < 9 { digits = Array(repeating: UInt8(ascii: "0"), count: 9 - digits.count) + digits }
        var random = FastRandom(seed: seed &+ UInt64(number))
        let padding = size.next(&random) - prefix.count - digits.count
        return prefix + digits + (padding > 0 ? Array(repeating: UInt8(ascii: "."), count: padding) : [])
    }

    var first: [UInt8] { prefix }
    /// Behind the last key.
    var end: [UInt8] {
        var end = prefix
        end[end.count - 1] += 1
        return end
    }
}
