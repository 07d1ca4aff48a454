import Synchronization

/// What users may do, each worked out when somebody first asks on the user's behalf: of thousands of users that share a
/// role of thousands of ranges, few ask between two changes.
final class PermissionTable: Sendable {
    /// Ranges that are kept for all users together; above it all are forgotten, and worked out anew.
    private static let most = 1 << 17

    private struct Known {
        var users: [ExactName: UserPermissions] = [:]
        var ranges = 0
    }

    private let auth: AuthState
    private let known = Mutex(Known())

    init(_ auth: AuthState) { self.auth = auth }

    /// What the user may do; nil when there is none of this name.
    func permissions(of name: String) -> UserPermissions? {
        let name = ExactName(name)
        if let found = known.withLock({ $0.users[name] }) { return found }
        guard let user = auth.user(name.text) else { return nil }
        let made = UserPermissions(user, user.roles.compactMap(auth.role))
        known.withLock { known in
            if known.ranges + made.ranges > Self.most { known = Known() }
            if known.users.updateValue(made, forKey: name) == nil { known.ranges += made.ranges + 1 }
        }
        return made
    }
}
