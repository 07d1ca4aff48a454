import TestSupport
import Testing

@testable import Drover

@Suite("the interval tree", .timeLimit(.minutes(1)))
struct IntervalTreeTests {
    @Test("finds what a scan of all ranges finds, through insertions and removals")
    func equalsScan() {
        let seed = SeededGenerator.seed()
        var generator = SeededGenerator(seed: seed)
        var tree = IntervalTree<Int>()
        var known: [KeyRange: Int] = [:]
        func key() -> Bytes {
            (0..<Int.random(in: 1...3, using: &generator)).map { _ in UInt8.random(in: 0...5, using: &generator) }
        }
        for step in 0..<3_000 {
            if Int.random(in: 0..<3, using: &generator) == 0, let victim = known.keys.randomElement(using: &generator) {
                tree.remove(victim)
                known[victim] = nil
            } else {
                let range =
                    Int.random(in: 0..<5, using: &generator) == 0
                    ? KeyRange(lower: key(), upper: .unbounded) : KeyRange(lower: key(), upper: .before(key()))
                if !range.isEmpty && known[range] == nil {
                    tree.insert(range, step)
                    known[range] = step
                }
            }
            let probe = key()
            var found: [Int] = []
            tree.forEach(containing: probe) { found.append($0) }
            let expected = known.filter { $0.key.contains(probe) }.map(\.value)
            #expect(found.sorted() == expected.sorted(), "seed \(seed), step \(step)")
        }
    }
}
