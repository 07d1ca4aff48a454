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

    private func event(_ revision: Int64, _ key: String, value: Bytes = [1]) -> ChangeSet.LogEvent {
        ChangeSet.LogEvent(
            key: Bytes(key.utf8),
            value: value,
            main: revision,
            sub: 0,
            createRevision: revision,
            version: 1,
            lease: 0,
            previousMain: 0,
            previousSub: 0
        )
    }

    @Test("the newest event that was seen is asked for again: another one, or none above what is compacted, is a fork")
    func witness() throws {
        func known() throws -> (HistoryGuard, HistoryWitness) {
            let history = HistoryGuard()
            var changes = ChangeSet(base: meta(9))
            changes.revision = 10
            changes.events = [event(9, "a"), event(10, "b")]
            history.didCommit(changes)
            // What is older is no news.
            changes.events = [event(8, "c")]
            history.didCommit(changes)
            let witness = try #require(try history.floor().witness)
            #expect(witness.place == LogPosition(main: 10, sub: 0))
            return (history, witness)
        }
        var compacted = meta(20)
        compacted.compacted = 10
        for (found, meta, expected) in [
            (event(10, "b"), meta(20), nil), (event(10, "c"), meta(20), .forked),
            (event(10, "b", value: [2]), meta(20), .forked), (event(10, "b", value: [1, 1]), compacted, .forked),
            (nil, meta(20), .forked), (nil, compacted, nil),
        ] as [(ChangeSet.LogEvent?, StoreMeta, DriverFailure.Kind?)] {
            let (history, witness) = try known()
            let asked = found.map { HistoryWitness($0) }
            #expect(kind { try history.check(witness, found: asked, meta: meta) } == expected)
            #expect(kind { _ = try history.floor() } == expected)
        }
        // Of long values only the length is known.
        let long = Bytes(repeating: 1, count: HistoryWitness.longestValue + 1)
        let history = HistoryGuard()
        let witness = HistoryWitness(event(10, "b", value: long))
        try history.check(witness, found: HistoryWitness(event(10, "b", value: long)), meta: meta(20))
        #expect(
            kind { try history.check(witness, found: HistoryWitness(event(10, "b")), meta: meta(20)) } == .forked
        )
    }
}
