import TestSupport
import Testing

@testable import Drover

@Suite("a part of the values that are kept", .timeLimit(.minutes(1)))
struct RowCacheShardTests {
    /// Hashes that lead to few places, so that rows stand in one another's way and move up when others go.
    @Test("every row is found at its place while others come and go", arguments: [1, 3, 64, 1 << 20], [false, true])
    func places(homes: Int, atTheEnd: Bool) {
        let seed = SeededGenerator.seed()
        var generator = SeededGenerator(seed: seed)
        var shard = RowCacheShard()
        let limit = 40_000
        // From the first cell up, or from the last one down and over the end.
        func hash(_ main: Int64) -> Int {
            let home = Int(main % Int64(homes))
            return (atTheEnd ? (1 << 30) - 1 - home : home) << 8
        }
        func value(_ main: Int64) -> Bytes { Bytes("value of \(main)".utf8) }
        var newest: [Int64] = []
        var found = 0
        for main in 1...4_000 as ClosedRange<Int64> {
            let event = ChangeSet.LogEvent(
                key: [],
                value: value(main),
                main: main,
                sub: 0,
                createRevision: main,
                version: main % 5 + 1,
                lease: 0,
                previousMain: 0,
                previousSub: 0
            )
            shard.keep(LogPosition(main: main, sub: 0), hash(main), event, size: 100 + Int(main % 90), limit: limit)
            if Bool.random(using: &generator), let old = newest.randomElement(using: &generator) {
                shard.remove(LogPosition(main: old, sub: 0), hash(old))
                #expect(shard.value(at: LogPosition(main: old, sub: 0), hash(old), old % 5 + 1) == nil)
            }
            newest = (newest + [main]).suffix(200)
            #expect(shard.bytes <= limit)
            for _ in 0..<3 {
                let asked = Int64.random(in: 1...main, using: &generator)
                let got = shard.value(at: LogPosition(main: asked, sub: 0), hash(asked), asked % 5 + 1)
                if got != nil { found += 1 }
                #expect(got == nil || got == value(asked), "\(asked) with seed \(seed)")
                #expect(shard.value(at: LogPosition(main: asked, sub: 1), hash(asked), asked % 5 + 1) == nil)
                #expect(shard.value(at: LogPosition(main: asked, sub: 0), hash(asked), 9) == nil)
            }
        }
        let kept = (1...4_000 as ClosedRange<Int64>).count { main in
            shard.value(at: LogPosition(main: main, sub: 0), hash(main), main % 5 + 1) == value(main)
        }
        // Rows take 145 bytes on average, and all that are counted as kept are found.
        #expect((limit / 190...limit / 100).contains(kept) && found > 500, "\(kept), \(found)")
    }
}
