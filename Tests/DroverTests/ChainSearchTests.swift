import Testing

@testable import Drover

@Suite("how a key's place at an old revision is searched for", .timeLimit(.minutes(1)))
struct ChainSearchTests {
    private static let base: Int64 = 2_000_000

    /// A log in which one key has `newer` events since the revision, and its one before that `back` revisions before it.
    private struct Log {
        let newer: Int64
        let back: Int64
        /// What a row of the log read back, and an event of the chain, take.
        let rowTime: Int64
        let hopTime: Int64
        private var base: Int64 { ChainSearchTests.base }

        /// - Returns: the place, and the time it took.
        func search() throws -> (place: LogPosition?, time: Int64) {
            var clock: Int64 = 0
            let key: Bytes = [1]
            let found = try ChainSearch.positions(
                of: [key: LogPosition(main: base + newer, sub: 0)],
                at: base,
                now: { clock }
            ) { chains, hops in
                chains.map { chain in
                    // The chain's events are one a revision.
                    let steps = min(Int64(hops), chain.from.main - base)
                    clock += steps * hopTime
                    let main = chain.from.main - steps
                    return LogPosition(main: main > base ? main : base - back, sub: 0)
                }
            } readBack: { _, rows in
                clock += Int64(rows) * rowTime
                return rows > back ? ([key: LogPosition(main: base - back, sub: 0)], false) : ([:], rows > 1_000_000)
            }
            return (found[key], clock)
        }
    }

    @Test("the shorter way is found, whatever a step costs on each", arguments: [1, 10, 100] as [Int64])
    func shorter(rowTime: Int64) throws {
        for (newer, back) in [(200, 900), (100_000, 10), (5_000, 900_000), (60_000, 60_000)] as [(Int64, Int64)] {
            let base = Self.base
            let log = Log(newer: newer, back: back, rowTime: rowTime, hopTime: 10)
            let (place, time) = try log.search()
            #expect(place == LogPosition(main: base - back, sub: 0))
            let shortest = min(newer * log.hopTime, max(2_048, back) * rowTime)
            // Each way doubles its steps, and one is gone on with while the other is done.
            #expect(time <= 6 * max(shortest, 2_048 * rowTime), "\(newer), \(back): \(time) beside \(shortest)")
        }
    }

    @Test("a key that had no event then is not found")
    func none() throws {
        let found = try ChainSearch.positions(of: [[1]: LogPosition(main: 9, sub: 0)], at: 5) { chains, _ in
            chains.map { _ in LogPosition(main: 0, sub: 0) }
        } readBack: { _, _ in
            ([:], false)
        }
        #expect(found.isEmpty)
    }
}
