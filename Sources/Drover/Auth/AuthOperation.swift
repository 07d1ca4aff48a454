/// A change of users, roles, or whether they are asked for. Source: etcd `server/auth/store.go`.
public enum AuthOperation: Sendable {
    /// Asks for users from now on. `secret` signs the tokens.
    case enable(secret: Bytes)
    case disable
    /// `hash` is nil of a user that is to have no password, ever; empty where the password is.
    case addUser(name: String, hash: Bytes?)
    case deleteUser(name: String)
    case changePassword(name: String, hash: Bytes)
    case grantRole(user: String, role: String)
    case revokeRole(user: String, role: String)
    case addRole(name: String)
    case deleteRole(name: String)
    case grantPermission(role: String, AuthPermission)
    case revokePermission(role: String, key: Bytes, rangeEnd: Bytes)
    /// What cannot be carried out whoever asks, and why: who may not ask is told that first.
    case impossible(DroverError.Code)

    var footprint: Int {
        switch self {
        case .enable, .disable, .impossible: 64
        case .addUser(let name, let hash): name.utf8.count + (hash?.count ?? 0)
        case .changePassword(let name, let hash): name.utf8.count + hash.count
        case .deleteUser(let name), .addRole(let name), .deleteRole(let name): name.utf8.count
        case .grantRole(let user, let role), .revokeRole(let user, let role): user.utf8.count + role.utf8.count
        case .grantPermission(let role, let permission):
            role.utf8.count + permission.key.count + permission.rangeEnd.count
        case .revokePermission(let role, let key, let rangeEnd): role.utf8.count + key.count + rangeEnd.count
        }
    }
}
