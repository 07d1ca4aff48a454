import Drover

/// Who the clients of one event loop are, by their tokens. Used on the loop alone.
final class CallerCache {
    private struct Entry {
        var identity: Caller.Identity
        /// Of a token that use does not make live longer: when its time is over, in seconds of the monotonic clock.
        var end: Int64?
        /// Of another: when its use is to be told again.
        var dueAt: Int64 = 0
    }

    /// Tokens whose callers are remembered; above it all are forgotten, and looked at anew.
    private static let most = 4_096

    private let store: Store
    private let tokens: TokenAuthority
    private let uses: TokenUses
    /// How often the use of a token is told, in seconds: seldom, since all loops tell it one table.
    private let every: Int64
    private var entries: [String: Entry] = [:]
    /// The secret that the entries were looked at with.
    private var secret: Bytes = []

    init(_ store: Store, _ tokens: TokenAuthority, _ uses: TokenUses) {
        self.store = store
        self.tokens = tokens
        self.uses = uses
        every = min(5, tokens.secondsToLive / 60)
    }

    /// The caller who sent this token. Whether it is still good is decided with the snapshot that answers the call.
    func caller(_ token: String?) -> Caller {
        guard let token else { return .anonymous }
        guard let auth = store.currentSystem?.state.auth, auth.isEnabled else { return refused(token) }
        if auth.secret != secret {
            entries = [:]
            secret = auth.secret
        }
        let now = MonotonicClock.nanoseconds() / 1_000_000_000
        if let entry = entries[token] {
            if let end = entry.end { return now < end ? .user(entry.identity) : .refused }
            if now < entry.dueAt { return .user(entry.identity) }
            // One that is not known any more is looked at as one that was never seen.
            if let isGood = uses.extend(token, now: now, to: now + tokens.secondsToLive + every) {
                guard isGood else { return .refused }
                entries[token]!.dueAt = now + every
                return .user(entry.identity)
            }
        }
        if let jwt = tokens.jwt {
            let wall = WallClock.seconds()
            guard let (identity, expires) = jwt.verify(token, now: wall) else { return .refused }
            keep(token, Entry(identity: identity, end: now + expires - wall))
            return .user(identity)
        }
        guard let (identity, issued) = tokens.verify(token, auth) else { return refused(token) }
        // Etcd's tokens live on with every use; one that was used at another instance alone is good for as long as a new
        // one.
        let end = now + tokens.secondsToLive + every
        if let isGood = uses.extend(token, now: now, to: end) {
            guard isGood else { return .refused }
        } else {
            guard WallClock.seconds() - issued <= tokens.secondsToLive else { return .refused }
            uses.insert(token, now: now, end: end)
        }
        keep(token, Entry(identity: identity, dueAt: now + every))
        return .user(identity)
    }

    /// One whose token is not known by what this instance has seen last. Where others serve the database too, users may have
    /// been asked for since, or asked for anew, which makes a new secret: the snapshot decides.
    private func refused(_ token: String) -> Caller {
        if !store.isShared { return .refused }
        let tokens = tokens
        return .bearer(
            .init(token) { auth in
                let now = WallClock.seconds()
                if let jwt = tokens.jwt { return jwt.verify(token, now: now)?.identity }
                guard let (identity, issued) = tokens.verify(token, auth), now - issued <= tokens.secondsToLive else {
                    return nil
                }
                return identity
            }
        )
    }

    private func keep(_ token: String, _ entry: Entry) {
        if entries.count >= Self.most { entries = [:] }
        entries[token] = entry
    }
}
