import Testing

@testable import Drover

@Suite("how large the steps of a sweep are", .timeLimit(.minutes(1)))
struct SweepPaceTests {
    private let millisecond: Int64 = 1_000_000

    @Test("with nobody writing they grow while they are short, to the limit, and are halved where they take too long")
    func calm() {
        var pace = SweepPace(rows: 1_000, calls: 512)
        #expect(pace.next(.nobody).rows == 256 && pace.next(.nobody).nanoseconds == 15 * millisecond)
        for _ in 0..<20 { pace.didTake(millisecond, pace.next(.nobody), .nobody, goesOn: true) }
        #expect(pace.next(.nobody).rows == 1_000)
        pace.didTake(20 * millisecond, pace.next(.nobody), .nobody, goesOn: true)
        #expect(pace.next(.nobody).rows == 500)
        // One that waited, or found the end, says nothing of larger ones.
        pace.didTake(0, pace.next(.nobody), .nobody, goesOn: false)
        #expect(pace.next(.nobody).rows == 500)
        for _ in 0..<20 { pace.didTake(20 * millisecond, pace.next(.nobody), .nobody, goesOn: true) }
        #expect(pace.next(.nobody).rows == 16)
    }

    @Test(
        "beside writers they take half as long as a batch, but no fewer rows than writers add, unless that takes long"
    )
    func busy() {
        var pace = SweepPace(rows: 4_000, calls: 1_024)
        let load = SweepPace.Load.writers(nanoseconds: 4 * millisecond, events: 100)
        #expect(pace.next(load) == .init(rows: 150, least: 150, nanoseconds: 2 * millisecond))
        #expect(pace.next(.writers(nanoseconds: 0, events: 0)).nanoseconds == millisecond)
        #expect(pace.next(.writers(nanoseconds: 900 * millisecond, events: 0)).nanoseconds == 15 * millisecond)
        // Longer than it should be, and still not fewer.
        pace.didTake(5 * millisecond, pace.next(load), load, goesOn: true)
        #expect(pace.next(load).rows == 150)
        // What a batch has at most bounds it, until steps were quick; where they are slow, time counts.
        let heavy = SweepPace.Load.writers(nanoseconds: 4 * millisecond, events: 10_000)
        var fresh = SweepPace(rows: 4_000, calls: 1_024)
        #expect(fresh.next(heavy).rows == 1_024)
        fresh.didTake(5 * millisecond, fresh.next(heavy), heavy, goesOn: true)
        #expect(fresh.next(heavy).rows == 2_048)
        for _ in 0..<20 { fresh.didTake(40 * millisecond, fresh.next(heavy), heavy, goesOn: true) }
        #expect(fresh.next(heavy).rows == 16)
    }

    @Test("a database that refuses large steps gets smaller ones, and is asked anew in the next sweep")
    func refused() {
        var pace = SweepPace(rows: 4_000, calls: 1_024)
        let load = SweepPace.Load.writers(nanoseconds: 4 * millisecond, events: 600)
        let isWorthTrying = pace.wasRefused(pace.next(load))
        #expect(isWorthTrying)
        #expect(pace.next(load).rows == 450 && pace.next(.nobody).rows == 256)
        pace.didTake(0, pace.next(load), load, goesOn: true)
        #expect(pace.next(load).rows == 450)
        for _ in 0..<10 { _ = pace.wasRefused(pace.next(load)) }
        #expect(pace.next(load).rows == 16 && pace.next(.nobody).rows == 16)
        let isLeastWorthTrying = pace.wasRefused(pace.next(load))
        #expect(!isLeastWorthTrying)
        pace.end()
        #expect(pace.next(load).rows == 900)
    }
}
