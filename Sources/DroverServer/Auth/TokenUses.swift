import Synchronization

/// When simple tokens were last used, for all connections of a server.
final class TokenUses: Sendable {
    /// Tokens that are remembered; above it those that would be the first to end are forgotten, half of them at once, and
    /// are good for as long as one that was just issued.
    private static let most = 65_536

    /// A token's end by the monotonic clock, in seconds.
    private let ends = Mutex<[String: Int64]>([:])

    /// Makes a token live on.
    ///
    /// - Returns: false when its time is over; nil when it is not known.
    func extend(_ token: String, now: Int64, to end: Int64) -> Bool? {
        ends.withLock { ends in
            guard let known = ends[token] else { return nil }
            if known < now { return false }
            ends[token] = end
            return true
        }
    }

    /// Remembers a token.
    func insert(_ token: String, now: Int64, end: Int64) {
        ends.withLock { ends in
            if ends.count >= Self.most {
                let middle = max(now, ends.values.sorted()[Self.most / 2])
                ends = ends.filter { $0.value >= middle }
                // All of one second.
                if ends.count > Self.most * 3 / 4 { ends = [:] }
            }
            ends[token] = max(end, ends[token] ?? end)
        }
    }
}
