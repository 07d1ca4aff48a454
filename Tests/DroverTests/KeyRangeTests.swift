import Drover
import Testing

@Suite("key ranges", .timeLimit(.minutes(1)))
struct KeyRangeTests {
    @Test("prefixes end where the last byte that can grow has grown")
    func prefixes() {
        #expect(KeyRange(prefix: [1, 2]).rangeEnd == [1, 3])
        #expect(KeyRange(prefix: [1, 0xff]).rangeEnd == [2])
        #expect(KeyRange(prefix: [0xff, 0xff]).rangeEnd == [0])
        #expect(KeyRange(prefix: []).contains([0]))
    }

    @Test("etcd's spelling")
    func spelling() {
        #expect(KeyRange(key: [5], rangeEnd: []).isSingle)
        #expect(KeyRange(key: [5], rangeEnd: [0]).contains([6, 7]))
        #expect(KeyRange(key: [0], rangeEnd: [0]).contains([0xff]))
        #expect(KeyRange(key: [5], rangeEnd: [5]).isEmpty)
        #expect(KeyRange(key: [5], rangeEnd: [4]).isEmpty)
        #expect(!KeyRange(key: [5], rangeEnd: [6]).contains([6]))
    }

    @Test(
        "overlap",
        arguments: [
            (KeyRange(key: [1], rangeEnd: [3]), KeyRange(key: [2], rangeEnd: []), true),
            (KeyRange(key: [1], rangeEnd: [3]), KeyRange(key: [3], rangeEnd: []), false),
            (KeyRange(key: [1], rangeEnd: [0]), KeyRange(key: [0, 5], rangeEnd: [1, 0]), true),
            (KeyRange(key: [1], rangeEnd: [1]), KeyRange(key: [0], rangeEnd: [0]), false),
        ]
    )
    func overlap(a: KeyRange, b: KeyRange, expected: Bool) {
        #expect(a.overlaps(b) == expected)
        #expect(b.overlaps(a) == expected)
    }
}
