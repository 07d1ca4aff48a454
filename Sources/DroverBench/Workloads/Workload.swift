/// One thing that is measured. Every workload works under a prefix of its own.
protocol Workload: Sendable {
    /// Whether a round lasts as long as what it measures, and not for a time.
    var isMeasuredOnce: Bool { get }

    /// What the store must hold first; done once for each target.
    func prepare(_ bench: WorkloadBench) async throws

    /// One round: what it measured goes to the bench's recorder.
    ///
    /// - Returns: further figures by name, such as the events that were lost.
    func run(_ bench: WorkloadBench) async throws -> [String: Double]
}

extension Workload {
    var isMeasuredOnce: Bool { false }

    func prepare(_ bench: WorkloadBench) async throws {}
}

/// What a workload works with, for one round.
struct WorkloadBench: Sendable {
    let session: any BenchSession
    let target: any BenchTarget
    let settings: BenchSettings
    /// The prefix of the workload's keys; nobody else's.
    let prefix: String
    let round: Int
    /// Made when the round begins; its warm-up is not in it.
    let recorder: LoadRecorder

    var pace: Pace { settings.rate > 0 ? .open(callsPerSecond: settings.rate) : .closed }

    func keys(_ folder: String) -> KeyMaker {
        KeyMaker(prefix: prefix + folder, size: SizeDistribution(settings.keySize)!, seed: settings.seed)
    }

    func values() -> ValueMaker { ValueMaker(SizeDistribution(settings.valueSize)!, seed: settings.seed) }

    func random(_ lane: Int) -> FastRandom {
        FastRandom(seed: settings.seed &+ UInt64(lane) &* 1_000_003 &+ UInt64(round) &* 7_919)
    }

    /// Fills a folder with keys, a hundred in a transaction or a megabyte.
    func fill(_ keys: KeyMaker, _ range: Range<Int>) async throws {
        var values = self.values()
        var random = random(0)
        var puts: [(key: [UInt8], value: [UInt8])] = []
        var bytes = 0
        for i in range {
            let value = values.next(&random)
            puts.append((keys.key(i), value))
            bytes += value.count
            if puts.count == 100 || bytes > 1_000_000 || i == range.upperBound - 1 {
                _ = try await session.perform(.fill(puts))
                (puts, bytes) = ([], 0)
            }
        }
    }
}

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

    mutating func next(_ random: inout FastRandom) -> [UInt8] {
        let length = size.next(&random)
        let start = random.next(below: 65_536)
        return Array(pool[start..<(start + length)])
    }

    /// A value that begins with the present moment.
    mutating func stamped(_ random: inout FastRandom) -> [UInt8] {
        var value = next(&random)
        if value.count < 8 { value += Array(repeating: 0, count: 8 - value.count) }
        value.withUnsafeMutableBytes { $0.storeBytes(of: Clock.now(), as: UInt64.self) }
        return value
    }
}

/// Which key is next.
struct KeyChooser: Sendable {
    private let order: KeyOrder
    private let count: Int
    private var position: Int

    init(_ order: KeyOrder, count: Int, lane: Int, lanes: Int) {
        self.order = order
        self.count = max(1, count)
        position = self.count * lane / max(1, lanes)
    }

    mutating func next(_ random: inout FastRandom) -> Int {
        switch order {
        case .random: return random.next(below: count)
        case .zipf: return random.zipf(count)
        case .sequential:
            position += 1
            return position % count
        }
    }
}
