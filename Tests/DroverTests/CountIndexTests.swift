import TestSupport
import Testing

@testable import Drover

@Suite("the index of counts", .timeLimit(.minutes(1)))
struct CountIndexTests {
    private static func key(_ number: Int) -> Bytes { [UInt8(1 + number / 200), UInt8(number % 200)] }

    /// Surveys one block as the surveyor does, three blocks at a time.
    private static func survey(_ gap: CountIndex.Gap, _ keys: [Bytes]) -> [CountIndex.Block] {
        var blocks: [CountIndex.Block] = []
        var lower = gap.lower
        while blocks.count < 3 {
            let range = KeyRange(lower: lower, upper: gap.upper.map(KeyRange.Upper.before) ?? .unbounded)
            let rest = keys.filter(range.contains)
            guard rest.count > gap.blockKeys else {
                return blocks + [.init(lower: lower, keys: Int64(rest.count))]
            }
            blocks.append(.init(lower: lower, keys: Int64(gap.blockKeys)))
            lower = rest[gap.blockKeys]
        }
        return blocks + [.init(lower: lower, keys: nil)]
    }

    @Test("counts what a walk counts, through changes, surveys and joins", arguments: [4, 10, 100])
    func equalsWalk(maximumBlocks: Int) throws {
        let seed = SeededGenerator.seed()
        var generator = SeededGenerator(seed: seed)
        var limits = Limits()
        limits.countBlockKeys = 5
        limits.countBlocks = maximumBlocks
        var index = CountIndex(revision: 1, limits: limits)
        var live: Set<Int> = []
        var helped = 0
        for step in 0..<4_000 {
            let number = Int.random(in: 0..<400, using: &generator)
            if step / 500 % 2 == 0 || Int.random(in: 0..<3, using: &generator) == 0 {
                if live.insert(number).inserted { index.apply(1, to: Self.key(number)) }
            } else if live.remove(number) != nil {
                index.apply(-1, to: Self.key(number))
            }
            let keys = live.sorted().map(Self.key)
            if step % 3 == 0, let gap = index.nextGap() {
                let found = Self.survey(gap, keys)
                let isInstalled = index.install(found, in: gap)
                #expect(isInstalled)
                // What is no block any more is refused.
                let isRefused = !index.install(found, in: .init(lower: [0, 0, 1], upper: gap.upper, blockKeys: 5))
                #expect(isRefused)
            }
            #expect(index.blocks.count <= max(maximumBlocks, 1))
            let lower = Self.key(Int.random(in: 0..<400, using: &generator))
            let range: KeyRange
            switch Int.random(in: 0..<4, using: &generator) {
            case 0: range = KeyRange(lower: lower, upper: .unbounded)
            case 1: range = KeyRange(lower: lower, upper: .single)
            default:
                range = KeyRange(lower: lower, upper: .before(Self.key(Int.random(in: 0..<400, using: &generator))))
            }
            guard let parts = index.parts(of: range) else { continue }
            helped += 1
            let walked = parts.walks.reduce(0) { sum, walk in sum + keys.count { walk.contains($0) } }
            #expect(
                parts.counted + Int64(walked) == Int64(keys.count { range.contains($0) }),
                "seed \(seed), step \(step)"
            )
            // A change that is taken back leaves what the blocks have counted.
            let deltas = (0..<50).map { CountDelta(revision: 2, key: Self.key($0 * 8), change: 1) }
            let counted = deltas.count { delta in
                range.contains(delta.key) && !parts.walks.contains { $0.contains(delta.key) }
            }
            #expect(index.change(in: range, of: deltas) == Int64(counted), "seed \(seed), step \(step)")
        }
        #expect(helped > 500)
    }

    @Test("the keys between blocks are held to a limit of bytes")
    func bytes() {
        var limits = Limits()
        limits.countBlockKeys = 2
        limits.countBlockBytes = 3_000
        var index = CountIndex(revision: 1, limits: limits)
        let keys = (0..<100).map { [UInt8($0 + 1)] + Bytes(repeating: 1, count: 499) }
        while let gap = index.nextGap() {
            let isInstalled = index.install(Self.survey(gap, keys), in: gap)
            #expect(isInstalled)
            #expect(index.blocks.reduce(0) { $0 + $1.lower.count } <= 3_000)
        }
        #expect(index.blocks.count > 1)
        #expect(index.blocks.reduce(0) { $0 + ($1.keys ?? 0) } == 100)
    }
}
