import Testing

@testable import Drover

@Suite("jumps of a database's clock", .timeLimit(.minutes(1)))
struct ClockGuardTests {
    @Test("ahead and back are seen; an answer that took its time is none, nor what comes after it")
    func jumps() {
        let clock = ClockGuard()
        #expect(!clock.holds(5_000_000))
        let second: Int64 = 1_000_000_000
        let now = Monotonic.now()
        clock.set(100_000_000, asked: now)
        #expect(clock.holds(100_000_000, asked: now) && clock.holds(101_000_000, asked: now))
        #expect(!clock.holds(102_000_000, asked: now))
        #expect(!clock.holds(98_000_000, asked: now))
        // Asked three seconds ago: it may have been answered then, or just now.
        clock.set(100_000_000, asked: now - 3 * second)
        #expect(clock.holds(103_000_000, asked: Monotonic.now()))
        #expect(clock.holds(100_000_000, asked: now - 3 * second))
        clock.forget()
        #expect(!clock.holds(100_000_000))
    }
}
