import Testing

@testable import DroverServer

@Suite("when tokens were used", .timeLimit(.minutes(1)))
struct TokenUsesTests {
    @Test("use makes a token live on, too late does not, and what is not known is told from what is over")
    func uses() {
        let uses = TokenUses()
        #expect(uses.extend("a", now: 10, to: 310) == nil)
        uses.insert("a", now: 10, end: 310)
        #expect(uses.extend("a", now: 310, to: 610) == true)
        #expect(uses.extend("a", now: 600, to: 900) == true)
        #expect(uses.extend("a", now: 901, to: 1_201) == false)
        #expect(uses.extend("a", now: 902, to: 1_202) == false)
    }

    @Test("of too many the ones that end first are forgotten")
    func many() {
        let uses = TokenUses()
        for i in 0..<100_000 { uses.insert("\(i)", now: 0, end: Int64(i)) }
        #expect(uses.extend("99999", now: 0, to: 100_000) == true)
        #expect(uses.extend("0", now: 0, to: 100_000) == nil)
        // All alike: none is worth more than another.
        for i in 0..<200_000 { uses.insert("same \(i)", now: 0, end: 7) }
        #expect(uses.extend("same 199999", now: 0, to: 8) == true)
    }
}
