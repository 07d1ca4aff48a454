import Drover
import Testing

@Suite("a database that has lost what was seen")
struct HistoryGuardTests {
    private func meta(_ revision: Int64, generation: Int64 = 1) -> StoreMeta {
        StoreMeta(
            revision: revision,
            batch: revision,
            compacted: 0,
            swept: 0,
            generationStart: generation,
            clusterID: 1,
            memberID: 1
        )
    }

    private func kind(_ body: () throws -> Void) -> DriverFailure.Kind? {
        do {
            try body()
            return nil
        } catch {
            return (error as? DriverFailure)?.kind
        }
    }

    @Test("an old connection that shows less is given up, used or not; one made since that does is the end")
    func behind() throws {
        let history = HistoryGuard()
        let early = try history.floor()
        try history.check(meta(10), since: history.floor(), connectedAt: early)
        let late = try history.floor()
        // A primary that was made a replica goes on answering the connections it has.
        #expect(kind { try history.check(meta(9), since: history.floor(), connectedAt: early) } == .unavailable)
        #expect(kind { try history.check(meta(11), since: history.floor(), connectedAt: late) } == nil)
        #expect(kind { try history.check(meta(10), since: history.floor(), connectedAt: late) } == .unavailable)
        #expect(kind { try history.check(meta(9), since: history.floor(), connectedAt: late) } == .forked)
        // From then on everything is refused.
        #expect(kind { _ = try history.floor() } == .forked)
    }

    @Test("a new generation that began with less than was seen is a fork, one that began with all is not")
    func generations() throws {
        let good = HistoryGuard()
        try good.check(meta(10), since: good.floor(), connectedAt: good.floor())
        let before = try good.floor()
        #expect(kind { try good.check(meta(15, generation: 10), since: good.floor(), connectedAt: before) } == nil)
        // Another connection comes to it later; what it sees is beyond the start, and no fork.
        #expect(kind { try good.check(meta(20, generation: 10), since: good.floor(), connectedAt: before) } == nil)
        // One that still sees the old generation is given up.
        #expect(kind { try good.check(meta(21), since: good.floor(), connectedAt: before) } == .unavailable)
        let bad = HistoryGuard()
        try bad.check(meta(10), since: bad.floor(), connectedAt: bad.floor())
        #expect(
            kind { try bad.check(meta(15, generation: 8), since: bad.floor(), connectedAt: bad.floor()) } == .forked
        )
    }
}
