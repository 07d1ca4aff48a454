import Drover
import Synchronization

/// An event loop that looks for the answer of a lone client's write instead of sleeping until it is woken: waking a
/// thread on an idle core takes a fifth as long as the write.
final class AnswerWatch: Sendable {
    /// How long the loop looks at most, in nanoseconds; what else arrives for it waits as long.
    private static let longestNanoseconds: Int64 = 400_000
    /// Lone writes that are not watched after one that took longer.
    private static let restAfterMiss = 64

    private struct State {
        var isWatching = false
        var answers: [WriteCompletion] = []
    }

    private let state = Mutex(State())
    private let hasAnswers = Atomic(false)
    /// Used on the event loop alone.
    private nonisolated(unsafe) var rest = 0

    /// Says that the loop is about to look; false when it should not, since writes have been taking longer. To be called
    /// before the write is handed over.
    func begin() -> Bool {
        if rest > 0 {
            rest -= 1
            return false
        }
        hasAnswers.store(false, ordering: .relaxed)
        state.withLock { $0.isWatching = true }
        return true
    }

    /// Takes the answers if the loop is looking for them; otherwise it must be woken.
    func take(_ answers: [WriteCompletion]) -> Bool {
        let taken = state.withLock { state -> Bool in
            if !state.isWatching { return false }
            state.isWatching = false
            state.answers = answers
            return true
        }
        if taken { hasAnswers.store(true, ordering: .releasing) }
        return taken
    }

    /// Looks until the answers are there or it has taken too long; empty then.
    func look() -> [WriteCompletion] {
        let end = MonotonicClock.nanoseconds() + Self.longestNanoseconds
        while !hasAnswers.load(ordering: .acquiring) && MonotonicClock.nanoseconds() < end {}
        return state.withLock { state in
            if state.isWatching { rest = Self.restAfterMiss }
            state.isWatching = false
            defer { state.answers = [] }
            return state.answers
        }
    }
}
