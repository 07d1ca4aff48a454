import Drover

/// Who the clients of one event loop are, by their tokens. Used on the loop alone.
final class CallerCache {
    private struct Entry {
        var identity: Caller.Identity
        /// When it has not been used for too long, in seconds of the monotonic clock.
        var deadline: Int64
        /// Whether use does not make it live longer.
        var isFixed = false
    }

    /// Tokens that are remembered; above it all are forgotten, and looked at anew.
    private static let most = 4_096

    private let store: Store
    private let tokens: TokenAuthority
    private var entries: [String: Entry] = [:]
    /// The secret that the entries were looked at with.
    private var secret: Bytes = []

    init(_ store: Store, _ tokens: TokenAuthority) {
        self.store = store
        self.tokens = tokens
    }

    /// The caller who sent this token. Whether it is still good is decided with the snapshot that answers the call.
    func caller(_ token: String?) -> Caller {
        guard let auth = store.currentSystem?.state.auth, auth.isEnabled else {
            return token == nil ? .anonymous : .refused
        }
        guard let token, !token.isEmpty else { return .anonymous }
        if auth.secret != secret {
            entries = [:]
            secret = auth.secret
        }
        let now = MonotonicClock.nanoseconds() / 1_000_000_000
        if let entry = entries[token] {
            if entry.deadline < now || (entry.isFixed && entry.deadline == now) { return .refused }
            if !entry.isFixed { entries[token]!.deadline = now + tokens.secondsToLive }
            return .user(entry.identity)
        }
        if let jwt = tokens.jwt {
            let wall = WallClock.seconds()
            guard let (identity, expires) = jwt.verify(token, now: wall) else { return .refused }
            keep(token, Entry(identity: identity, deadline: now + expires - wall, isFixed: true))
            return .user(identity)
        }
        guard let (identity, issued) = tokens.verify(token, auth) else { return .refused }
        // Etcd's tokens live on with every use; one that was used elsewhere alone is good for as long as a new one.
        guard WallClock.seconds() - issued <= tokens.secondsToLive else { return .refused }
        keep(token, Entry(identity: identity, deadline: now + tokens.secondsToLive))
        return .user(identity)
    }

    private func keep(_ token: String, _ entry: Entry) {
        if entries.count >= Self.most { entries = [:] }
        entries[token] = entry
    }
}
