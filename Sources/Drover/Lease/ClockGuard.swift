import Synchronization

/// Notices when a database's clock jumps, by this machine's monotonic clock.
///
/// Deadlines of leases go by the database's clock. When it jumps ahead, every lease would seem to be over at once, and when
/// it is put back, none would end for as long: in either case all are given their full time again.
final class ClockGuard: Sendable {
    /// Microseconds that the clock may be ahead of, or behind, what has passed here.
    private static let tolerance: Int64 = 1_500_000

    /// What the database's clock showed, at some time between two of this machine's, in microseconds.
    private struct State {
        var database: Int64
        var asked: Int64
        var answered: Int64
    }

    private let state = Mutex<State?>(nil)

    /// Whether the database's clock, in microseconds, is about where it should be. A slow answer is no jump: it may have
    /// been given at any time since it was asked for.
    ///
    /// - Parameter asked: when the database was asked, in nanoseconds of the monotonic clock; nil where that is not known.
    func holds(_ now: Int64, asked: Int64? = nil) -> Bool {
        let answered = Monotonic.now() / 1_000
        return state.withLock { state in
            guard let state else { return false }
            let passed = now - state.database
            if passed - (answered - state.asked) > Self.tolerance { return false }
            guard let asked else { return true }
            return (asked / 1_000 - state.answered) - passed <= Self.tolerance
        }
    }

    /// Takes the database's clock for right from now on.
    func set(_ now: Int64, asked: Int64) {
        let answered = Monotonic.now() / 1_000
        state.withLock { $0 = State(database: now, asked: asked / 1_000, answered: answered) }
    }

    /// Nothing is known of it any more: no lease is ended until it is set.
    func forget() { state.withLock { $0 = nil } }
}
