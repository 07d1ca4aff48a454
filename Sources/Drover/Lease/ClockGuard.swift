import Synchronization

/// Notices when a database's clock jumps, by this machine's monotonic clock.
///
/// Deadlines of leases go by the database's clock. When it jumps ahead, every lease would seem to be over at once: none
/// may be revoked before all have been given their full time again.
final class ClockGuard: Sendable {
    /// Microseconds that the clock may be ahead of what has passed here; also what a slow answer looks like.
    private static let tolerance: Int64 = 1_500_000

    private struct State {
        var database: Int64 = 0
        var monotonic: Int64 = 0
    }

    private let state = Mutex(State())

    /// Whether the database's clock, in microseconds, is about where it should be.
    func holds(_ now: Int64) -> Bool {
        let monotonic = Monotonic.now() / 1_000
        return state.withLock { state in
            if state.database == 0 { return false }
            return now - state.database - (monotonic - state.monotonic) <= Self.tolerance
        }
    }

    /// Takes the database's clock for right from now on.
    func set(_ now: Int64) {
        let monotonic = Monotonic.now() / 1_000
        state.withLock { $0 = State(database: now, monotonic: monotonic) }
    }
}
