/// Users and roles, and whether requests are checked against them.
public struct AuthState: Sendable, Hashable {
    /// The user and the role that may do everything.
    public static let rootUser = "root"
    public static let rootRole = "root"

    /// Whether requests are checked.
    public var isEnabled = false
    /// One more with every change. Source: etcd counts from 1.
    public var revision: Int64 = 1
    /// The revision at which it was enabled last: older tokens are over.
    public var enabledAt: Int64 = 0
    /// Signs tokens; made anew each time it is enabled.
    public var secret: Bytes = []
    /// In the order of names.
    public var users: [AuthUser] = []
    /// In the order of names.
    public var roles: [AuthRole] = []

    init() {}

    init(_ reader: inout StateReader) throws {
        isEnabled = try reader.flag()
        revision = try reader.number()
        enabledAt = try reader.number()
        secret = try reader.part()
        users = try reader.list { reader in
            AuthUser(
                name: try reader.text(),
                passwordHash: try reader.part(),
                roles: try reader.list { try $0.text() },
                changedAt: try reader.number()
            )
        }
        roles = try reader.list { reader in
            AuthRole(
                name: try reader.text(),
                permissions: try reader.list { reader in
                    guard let kind = AuthPermission.Kind(rawValue: try reader.number()) else {
                        throw StateReader.damaged
                    }
                    return AuthPermission(kind: kind, key: try reader.part(), rangeEnd: try reader.part())
                }
            )
        }
    }

    func write(to writer: inout StateWriter) {
        writer.write(isEnabled)
        writer.write(revision)
        writer.write(enabledAt)
        writer.write(secret)
        writer.write(users) { writer, user in
            writer.write(user.name)
            writer.write(user.passwordHash)
            writer.write(user.roles) { $0.write($1) }
            writer.write(user.changedAt)
        }
        writer.write(roles) { writer, role in
            writer.write(role.name)
            writer.write(role.permissions) { writer, permission in
                writer.write(permission.kind.rawValue)
                writer.write(permission.key)
                writer.write(permission.rangeEnd)
            }
        }
    }

    mutating func markWithoutPassword(_ names: [String]) {
        for name in names {
            let (place, isThere) = ExactName.place(of: name, in: users, \.name)
            if isThere { users[place].isWithoutPassword = true }
        }
    }

    /// The user of this name.
    public func user(_ name: String) -> AuthUser? {
        let (place, isThere) = ExactName.place(of: name, in: users, \.name)
        return isThere ? users[place] : nil
    }

    /// The role of this name.
    public func role(_ name: String) -> AuthRole? {
        let (place, isThere) = ExactName.place(of: name, in: roles, \.name)
        return isThere ? roles[place] : nil
    }
}
