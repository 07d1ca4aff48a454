import Testing

@testable import Drover

@Suite("which of several instances sweeps", .timeLimit(.minutes(1)))
struct SweepTurnTests {
    private func meta(compacted: Int64, swept: Int64) -> StoreMeta {
        StoreMeta(revision: 100, batch: 0, compacted: compacted, swept: swept, clusterID: 1, memberID: 1)
    }

    private func living(_ ids: UInt64...) -> [InstanceRecord] {
        ids.map { InstanceRecord(id: $0, name: "drover", clientURLs: [], position: 7) }
    }

    private let second: Int64 = 1_000_000_000

    @Test("the lowest of those that live, once for every mark")
    func lowest() {
        var low = SweepTurn(own: 3)
        var high = SweepTurn(own: 8)
        #expect(
            low.decide(meta(compacted: 5, swept: 5), living: living(3, 8), now: 1) == .init(isOurs: true, begins: false)
        )
        for (mark, swept, now, begins) in [
            (Int64(9), Int64(5), second, true), (9, 5, 2 * second, false), (9, 7, 3 * second, false),
            (12, 7, 4 * second, true), (12, 12, 5 * second, false), (13, 12, 6 * second, true),
        ] {
            let found = meta(compacted: mark, swept: swept)
            #expect(low.decide(found, living: living(3, 8), now: now) == .init(isOurs: true, begins: begins))
            #expect(high.decide(found, living: living(8, 3), now: now) == .init(isOurs: false, begins: false))
        }
        // It leaves in the middle, and comes back.
        let found = meta(compacted: 13, swept: 12)
        #expect(high.decide(found, living: living(8), now: 7 * second) == .init(isOurs: true, begins: true))
        #expect(high.decide(found, living: living(3, 8), now: 8 * second) == .init(isOurs: false, begins: false))
        #expect(high.decide(found, living: living(8), now: 9 * second) == .init(isOurs: true, begins: true))
    }

    @Test("a sweep that stands still is taken over by the next, then by the one after it, until it is over")
    func takenOver() {
        var turns = [SweepTurn(own: 3), SweepTurn(own: 8), SweepTurn(own: 9)]
        func decide(_ swept: Int64, _ seconds: Int64) -> [SweepTurn.Decision] {
            turns.indices.map {
                turns[$0].decide(meta(compacted: 50, swept: swept), living: living(3, 8, 9), now: seconds * second)
            }
        }
        let none = SweepTurn.Decision(isOurs: false, begins: false)
        #expect(decide(10, 1) == [.init(isOurs: true, begins: true), none, none])
        #expect(decide(10, 16) == [.init(isOurs: true, begins: false), none, none])
        // The first is asked once more; it may have failed for a reason that is over.
        #expect(decide(10, 17) == [.init(isOurs: true, begins: true), .init(isOurs: true, begins: true), none])
        #expect(decide(20, 18).map(\.isOurs) == [true, true, false])
        #expect(decide(20, 34).map(\.isOurs) == [true, true, false])
        #expect(decide(20, 49).map(\.isOurs) == [true, true, true])
        #expect(decide(50, 50).map(\.isOurs) == [true, false, false])
    }
}
