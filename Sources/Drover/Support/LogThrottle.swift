import Synchronization

/// Lets the first of what would be logged again and again through at once, and more of it once in ten seconds, with how
/// many there were.
package final class LogThrottle: Sendable {
    private struct State {
        var count = 0
        var toldAt: Int64?
    }

    private static let every: Int64 = 10_000_000_000
    private let state = Mutex(State())

    package init() {}

    /// How many there were since the last that was let through, this one among them; nil when it is not to be logged.
    package func admit() -> Int? {
        let now = MonotonicClock.nanoseconds()
        return state.withLock { state in
            state.count += 1
            if let toldAt = state.toldAt, now - toldAt < Self.every { return nil }
            defer { state = State(count: 0, toldAt: now) }
            return state.count
        }
    }
}
