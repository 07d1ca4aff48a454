import Testing

@testable import Drover

@Suite("the feed's ring", .timeLimit(.minutes(1)))
struct FeedRingTests {
    private func batch(_ first: Int64, _ last: Int64, bytes: Int = 10) -> FeedBatch {
        FeedBatch(
            firstRevision: first,
            lastRevision: last,
            events: (first...last).map {
                .init(
                    key: [1],
                    value: Bytes(repeating: 0, count: bytes),
                    main: $0,
                    sub: 0,
                    createRevision: 1,
                    version: 1,
                    lease: 0,
                    previousMain: 0,
                    previousSub: 0
                )
            }
        )
    }

    @Test("reads from a revision inside a batch, and not what was dropped")
    func reading() {
        var limits = Limits()
        limits.feedEvents = 6
        var ring = FeedRing(position: 1)
        #expect(ring.firstRevision == 2)
        ring.append(batch(2, 4), limits: limits)
        ring.append(batch(5, 5), limits: limits)
        ring.append(batch(6, 7), limits: limits)
        #expect(ring.position == 7 && ring.firstRevision == 2)
        #expect(ring.read(from: 3, bytes: .max).map(\.firstRevision) == [2, 5, 6])
        #expect(ring.read(from: 5, bytes: 1).map(\.firstRevision) == [5])
        #expect(ring.read(from: 8, bytes: .max).isEmpty)
        ring.append(batch(8, 8), limits: limits)
        #expect(ring.firstRevision == 5)
        #expect(ring.read(from: 4, bytes: .max).isEmpty)
    }

    @Test("a gap empties it")
    func gap() {
        var ring = FeedRing(position: 1)
        ring.append(batch(2, 3), limits: Limits())
        ring.append(batch(5, 5), limits: Limits())
        #expect(ring.firstRevision == 5 && ring.position == 5)
    }
}
