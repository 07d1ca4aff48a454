import Testing

@testable import Drover

@Suite("what is told of an outage", .timeLimit(.minutes(1)))
struct OutageReasonsTests {
    private let minute: Int64 = 60_000_000_000

    @Test("each reason once, until the outage is over or ten minutes have passed")
    func once() {
        var reasons = OutageReasons()
        func news(_ reason: String, minutes: Int64) -> Bool { reasons.isNew(reason, now: minutes * minute) }
        let first = [news("refused", minutes: 5), news("refused", minutes: 5), news("no room", minutes: 6)]
        #expect(first == [true, false, true])
        let later = [news("no room", minutes: 14), news("no room", minutes: 16), news("refused", minutes: 16)]
        #expect(later == [false, true, true])
        reasons.end()
        let next = [news("refused", minutes: 17), news("refused", minutes: 17)]
        #expect(next == [true, false])
    }

    @Test("reasons with numbers of their own neither flood the log nor keep it silent for good")
    func numbers() {
        var reasons = OutageReasons()
        var told = 0
        for i in 0..<1_000 where reasons.isNew("timed out after \(i) ms", now: minute) { told += 1 }
        #expect(told == 16)
        let news = [reasons.isNew("no room", now: 2 * minute), reasons.isNew("no room", now: 12 * minute)]
        #expect(news == [false, true])
    }
}
