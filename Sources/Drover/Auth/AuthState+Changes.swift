/// Source: etcd `server/auth/store.go`, call by call.
extension AuthState {
    /// The most that users and roles may come to, in bytes: they are one row of the database.
    static let mostBytes = 1 << 20

    mutating func apply(_ operation: AuthOperation) throws(DroverError) {
        switch operation {
        case .enable(let secret):
            try enable(secret)
        case .disable:
            if !isEnabled { return }
            isEnabled = false
            revision += 1
        case .addUser(let name, let hash):
            if name.isEmpty { throw DroverError(.userNameEmpty) }
            if user(name) != nil { throw DroverError(.userExists) }
            revision += 1
            users.append(AuthUser(name: name, passwordHash: hash, roles: [], changedAt: revision))
            users.sort { $0.name.utf8.lexicographicallyPrecedes($1.name.utf8) }
        case .deleteUser(let name):
            if isEnabled && name == Self.rootUser { throw DroverError(.invalidAuthManagement) }
            users.remove(at: try place(ofUser: name))
            revision += 1
        case .changePassword(let name, let hash):
            let place = try place(ofUser: name)
            revision += 1
            users[place].passwordHash = hash
            users[place].changedAt = revision
        case .grantRole(let user, let role):
            let place = try place(ofUser: user)
            if role != Self.rootRole { _ = try self.place(ofRole: role) }
            if users[place].roles.contains(role) { return }
            users[place].roles.append(role)
            users[place].roles.sort { $0.utf8.lexicographicallyPrecedes($1.utf8) }
            revision += 1
        case .revokeRole(let user, let role):
            if isEnabled && user == Self.rootUser && role == Self.rootRole {
                throw DroverError(.invalidAuthManagement)
            }
            let place = try place(ofUser: user)
            guard let granted = users[place].roles.firstIndex(of: role) else { throw DroverError(.roleNotGranted) }
            users[place].roles.remove(at: granted)
            revision += 1
        case .addRole, .deleteRole, .grantPermission, .revokePermission:
            try changeRoles(operation)
        }
        if size > Self.mostBytes {
            throw DroverError(
                .requestTooLarge,
                message:
                    "drover: users and roles together are more than 1 MiB; join roles, or grant ranges instead of keys"
            )
        }
    }

    private mutating func changeRoles(_ operation: AuthOperation) throws(DroverError) {
        switch operation {
        case .addRole(let name):
            if name.isEmpty { throw DroverError(.roleNameEmpty) }
            if role(name) != nil { throw DroverError(.roleExists) }
            roles.append(AuthRole(name: name, permissions: []))
            roles.sort { $0.name.utf8.lexicographicallyPrecedes($1.name.utf8) }
        case .deleteRole(let name):
            if isEnabled && name == Self.rootRole { throw DroverError(.invalidAuthManagement) }
            roles.remove(at: try place(ofRole: name))
            for i in users.indices { users[i].roles.removeAll { $0 == name } }
        case .grantPermission(let name, let permission):
            if !permission.isValid { throw DroverError(.invalidAuthManagement) }
            let place = try place(ofRole: name)
            let same = roles[place].permissions.firstIndex {
                $0.key == permission.key && $0.rangeEnd == permission.rangeEnd
            }
            if let same {
                roles[place].permissions[same] = permission
            } else {
                // In the order of keys, and of those of one key the newest last, as etcd lists them.
                let after = roles[place].permissions.firstIndex { Bytes.precedes(permission.key, $0.key) }
                roles[place].permissions.insert(permission, at: after ?? roles[place].permissions.count)
            }
        case .revokePermission(let name, let key, let rangeEnd):
            let place = try place(ofRole: name)
            let kept = roles[place].permissions.filter { $0.key != key || $0.rangeEnd != rangeEnd }
            if kept.count == roles[place].permissions.count { throw DroverError(.permissionNotGranted) }
            roles[place].permissions = kept
        default:
            return
        }
        revision += 1
    }

    private mutating func enable(_ secret: Bytes) throws(DroverError) {
        if isEnabled { return }
        guard let root = user(Self.rootUser) else { throw DroverError(.rootUserMissing) }
        if !root.roles.contains(Self.rootRole) { throw DroverError(.rootRoleMissing) }
        isEnabled = true
        enabledAt = revision
        self.secret = secret
    }

    private func place(ofUser name: String) throws(DroverError) -> Int {
        guard let place = users.firstIndex(where: { $0.name == name }) else { throw DroverError(.userNotFound) }
        return place
    }

    private func place(ofRole name: String) throws(DroverError) -> Int {
        guard let place = roles.firstIndex(where: { $0.name == name }) else { throw DroverError(.roleNotFound) }
        return place
    }

    private var size: Int {
        var writer = StateWriter()
        write(to: &writer)
        return writer.bytes.count
    }
}
