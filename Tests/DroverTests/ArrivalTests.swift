import Testing

@testable import Drover

@Suite("whether an instance that starts is the first", .timeLimit(.minutes(1)))
struct ArrivalTests {
    private func instance(_ id: UInt64, _ heartbeat: Int64, arrives: Bool = false) -> InstanceRecord {
        InstanceRecord(
            id: id,
            name: "drover",
            clientURLs: [],
            position: arrives ? InstanceRecord.arriving : 7,
            heartbeat: heartbeat
        )
    }

    @Test("alone, it is the first at once; so it is when those it saw leave")
    func alone() {
        let own = instance(9, 5, arrives: true)
        #expect(Arrival(own: 9, living: [own], now: 0).decide(living: [own], now: 0) == .first)
        let arrival = Arrival(own: 9, living: [own, instance(1, 5)], now: 0)
        #expect(arrival.decide(living: [own, instance(1, 5)], now: 1) == .open)
        #expect(arrival.decide(living: [own], now: 2) == .first)
    }

    @Test("one that says once more that it lives serves; one that is only listed still has died")
    func living() {
        let dead = [instance(1, 5), instance(2, 7)]
        let arrival = Arrival(own: 9, living: dead, now: 100)
        #expect(arrival.decide(living: dead, now: 100 + Arrival.patience - 1) == .open)
        #expect(arrival.decide(living: dead, now: 100 + Arrival.patience) == .first)
        // The clock of another node may be behind.
        #expect(arrival.decide(living: [instance(1, 5), instance(2, 6)], now: 200) == .joined)
    }

    @Test("of several that start together one is the first, and the others wait until it is")
    func together() {
        // A dead one is listed still; 3 and 8 see each other, and neither knows yet.
        let begun = [instance(1, 5), instance(3, 10, arrives: true), instance(8, 10, arrives: true)]
        let (low, high) = (Arrival(own: 3, living: begun, now: 0), Arrival(own: 8, living: begun, now: 1))
        let later = [instance(1, 5), instance(3, 20, arrives: true), instance(8, 20, arrives: true)]
        for now in [2, Arrival.patience - 1] {
            #expect(low.decide(living: later, now: now) == .open && high.decide(living: later, now: now) == .open)
        }
        #expect(low.decide(living: later, now: Arrival.patience) == .first)
        #expect(high.decide(living: later, now: 1 + Arrival.patience) == .open)
        let decided = [instance(1, 5), instance(3, 30), instance(8, 20, arrives: true)]
        #expect(high.decide(living: decided, now: 2 + Arrival.patience) == .joined)
        // Nobody is waited for for ever.
        #expect(high.decide(living: later, now: 1 + Arrival.longest) == .first)
    }
}
