/// Values that do not compress, cut out of random bytes.
struct ValueMaker: Sendable {
    private let pool: [UInt8]
    private let size: SizeDistribution

    init(_ size: SizeDistribution, seed: UInt64) {
        self.size = size
        var random = FastRandom(seed: seed)
        var pool: [UInt8] = []
        pool.reserveCapacity(size.largest + 65_536)
        while pool.count < size.largest + 65_536 {
            withUnsafeBytes(of: random.next()) { pool.append(contentsOf: $0) }
        }
        self.pool = pool
    }

    func next(_ random: inout FastRandom) -> [UInt8] {
        let length = size.next(&random)
        let start = random.next(below: 65_536)
        return Array(pool[start..<(start + length)])
    }
}
