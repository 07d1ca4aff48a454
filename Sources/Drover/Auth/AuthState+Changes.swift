/// Source: etcd `server/auth/store.go`, call by call.
extension AuthState {
    /// The most that users and roles may come to, in bytes: they are one row of the database.
    static let mostBytes = 1 << 20
    /// The longest name of a user, in bytes: tokens carry it, and headers carry tokens.
    static let mostNameBytes = 2_048

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
            let (place, isThere) = ExactName.place(of: name, in: users, \.name)
            if isThere { throw DroverError(.userExists) }
            if name.utf8.count > Self.mostNameBytes {
                throw DroverError(
                    .requestTooLarge,
                    message: "drover: the name of a user is longer than \(Self.mostNameBytes) bytes"
                )
            }
            revision += 1
            var user = AuthUser(name: name, passwordHash: hash ?? [], roles: [], changedAt: revision)
            user.isWithoutPassword = hash == nil
            users.insert(user, at: place)
        case .deleteUser(let name):
            if isEnabled && name == Self.rootUser { throw DroverError(.invalidAuthManagement) }
            users.remove(at: try place(ofUser: name))
            revision += 1
        case .changePassword(let name, let hash):
            let place = try place(ofUser: name)
            revision += 1
            // Of one that is to have none etcd takes the change and leaves it without.
            if !users[place].isWithoutPassword { users[place].passwordHash = hash }
            users[place].changedAt = revision
        case .grantRole(let user, let role):
            let place = try place(ofUser: user)
            if role != Self.rootRole { _ = try self.place(ofRole: role) }
            let (rank, isGranted) = ExactName.place(of: role, in: users[place].roles, \.self)
            if isGranted { return }
            users[place].roles.insert(role, at: rank)
            revision += 1
        case .revokeRole(let user, let role):
            if isEnabled && user == Self.rootUser && role == Self.rootRole {
                throw DroverError(.invalidAuthManagement)
            }
            let place = try place(ofUser: user)
            let (rank, isGranted) = ExactName.place(of: role, in: users[place].roles, \.self)
            if !isGranted { throw DroverError(.roleNotGranted) }
            users[place].roles.remove(at: rank)
            revision += 1
        case .addRole, .deleteRole, .grantPermission, .revokePermission:
            try changeRoles(operation)
        case .impossible(let code):
            throw DroverError(code)
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
            let (place, isThere) = ExactName.place(of: name, in: roles, \.name)
            if isThere { throw DroverError(.roleExists) }
            roles.insert(AuthRole(name: name, permissions: []), at: place)
        case .deleteRole(let name):
            if isEnabled && name == Self.rootRole { throw DroverError(.invalidAuthManagement) }
            roles.remove(at: try place(ofRole: name))
            let gone = ExactName(name)
            for i in users.indices { users[i].roles.removeAll { ExactName($0) == gone } }
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
        let (place, isThere) = ExactName.place(of: name, in: users, \.name)
        if !isThere { throw DroverError(.userNotFound) }
        return place
    }

    private func place(ofRole name: String) throws(DroverError) -> Int {
        let (place, isThere) = ExactName.place(of: name, in: roles, \.name)
        if !isThere { throw DroverError(.roleNotFound) }
        return place
    }

    private var size: Int {
        var writer = StateWriter()
        write(to: &writer)
        return writer.bytes.count
    }
}
