import Drover
import EtcdAPI
import NIOCore
import SwiftProtobuf

/// `etcdserverpb.Auth`. Source: etcd `server/auth/store.go`, `server/etcdserver/v3_server.go`.
enum AuthService {
    // MARK: - Changes

    static func enable(_ stream: ServerStream) {
        var random = SystemRandomNumberGenerator()
        let secret = (0..<32).map { _ in UInt8.random(in: 0...255, using: &random) }
        change(stream, .enable(secret: secret))
    }

    static func disable(_ stream: ServerStream) { change(stream, .disable) }

    private static func change(_ stream: ServerStream, _ operation: AuthOperation) {
        stream.context.enqueue(.system(.auth(operation)), for: stream)
    }

    static func deleteUser(_ stream: ServerStream, _ message: ByteBuffer) throws {
        change(stream, .deleteUser(name: try PBAuthUserDeleteRequest(wire: message).name))
    }

    static func grantRole(_ stream: ServerStream, _ message: ByteBuffer) throws {
        let request = try PBAuthUserGrantRoleRequest(wire: message)
        change(stream, .grantRole(user: request.user, role: request.role))
    }

    static func revokeRole(_ stream: ServerStream, _ message: ByteBuffer) throws {
        let request = try PBAuthUserRevokeRoleRequest(wire: message)
        change(stream, .revokeRole(user: request.name, role: request.role))
    }

    static func addRole(_ stream: ServerStream, _ message: ByteBuffer) throws {
        change(stream, .addRole(name: try PBAuthRoleAddRequest(wire: message).name))
    }

    static func deleteRole(_ stream: ServerStream, _ message: ByteBuffer) throws {
        change(stream, .deleteRole(name: try PBAuthRoleDeleteRequest(wire: message).role))
    }

    static func grantPermission(_ stream: ServerStream, _ message: ByteBuffer) throws {
        let request = try PBAuthRoleGrantPermissionRequest(wire: message)
        guard request.hasPerm else { return change(stream, .impossible(.permissionNotGiven)) }
        guard let kind = AuthPermission.Kind(rawValue: Int64(request.perm.permType.rawValue)) else {
            return change(stream, .impossible(.invalidAuthManagement))
        }
        let permission = AuthPermission(
            kind: kind,
            key: Bytes(request.perm.key),
            rangeEnd: Bytes(request.perm.rangeEnd)
        )
        change(stream, .grantPermission(role: request.name, permission))
    }

    static func revokePermission(_ stream: ServerStream, _ message: ByteBuffer) throws {
        let request = try PBAuthRoleRevokePermissionRequest(wire: message)
        change(
            stream,
            .revokePermission(role: request.role, key: Bytes(request.key), rangeEnd: Bytes(request.rangeEnd))
        )
    }

    // MARK: - Passwords

    static func addUser(_ stream: ServerStream, _ message: ByteBuffer) throws {
        let request = try PBAuthUserAddRequest(wire: message)
        let name = request.name
        if request.hasOptions && request.options.noPassword { return change(stream, .addUser(name: name, hash: nil)) }
        try withHash(stream, request.password) { .addUser(name: name, hash: $0) }
    }

    static func changePassword(_ stream: ServerStream, _ message: ByteBuffer) throws {
        let request = try PBAuthUserChangePasswordRequest(wire: message)
        let name = request.name
        // etcd takes an empty password for none.
        if request.password.isEmpty { return change(stream, .changePassword(name: name, hash: [])) }
        try withHash(stream, request.password) { .changePassword(name: name, hash: $0) }
    }

    private static func withHash(
        _ stream: ServerStream,
        _ password: String,
        _ operation: @escaping @Sendable (Bytes) -> AuthOperation
    ) throws {
        let context = stream.context
        let caller = stream.caller
        let (end, connection) = (CallEnd(), stream.connection)
        stream.end = end
        let bound = NIOLoopBound(stream, eventLoop: context.loop)
        @Sendable func answer(_ result: Result<Bytes, any Error>) {
            context.loop.execute {
                if bound.value.ended { return }
                switch result {
                case .success(let hash): change(bound.value, operation(hash))
                case .failure(let error): bound.value.fail(error)
                }
                context.submit()
                context.flush()
            }
        }
        @Sendable func hash() -> DroverError? {
            context.passwords.submit(of: connection, end, isAdministrator: true) { hasher in
                answer(Result { try hasher.make(password) })
            }
        }
        // Whoever may not change users must not keep the threads for passwords busy either.
        guard case .bearer = caller else {
            try context.store.currentSystem?.checkAdministrator(caller)
            if let refused = hash() { throw refused }
            return
        }
        // Of one whose token is not known yet a snapshot decides.
        let store = context.store
        let refused = store.read { reader in
            do {
                defer { reader.endSnapshot() }
                try store.system(try reader.beginSnapshot(), reader)?.checkAdministrator(caller)
                if let refused = hash() { throw refused }
            } catch {
                answer(.failure(error))
            }
        }
        if let refused { throw refused }
    }

    static func authenticate(_ stream: ServerStream, _ message: ByteBuffer) throws {
        let request = try PBAuthenticateRequest(wire: message)
        let context = stream.context
        let (store, tokens) = (context.store, context.configuration.tokens)
        let (name, password, header, allocator) = (request.name, request.password, context.header, stream.allocator)
        let (end, connection) = (CallEnd(), stream.connection)
        stream.end = end
        let bound = NIOLoopBound(stream, eventLoop: context.loop)
        @Sendable func answer(_ result: Result<ByteBuffer, any Error>) {
            context.loop.execute {
                switch result {
                case .success(let buffer): bound.value.reply(buffer)
                case .failure(let error): bound.value.fail(error)
                }
                context.flush()
            }
        }
        let refused = store.read { reader in
            do {
                defer { reader.endSnapshot() }
                let meta = try reader.beginSnapshot()
                guard let auth = try store.system(meta, reader)?.state.auth, auth.isEnabled else {
                    throw DroverError(.authNotEnabled)
                }
                let user = auth.user(name)
                let refused = context.passwords.submit(of: connection, end) { hasher in
                    answer(
                        Result {
                            // A user that does not exist takes as long to be refused.
                            let matches = try hasher.matches(password, user?.passwordHash ?? [])
                            guard matches, user != nil else {
                                context.passwords.refused(name, context.configuration.logger)
                                throw DroverError(.authenticationFailed)
                            }
                            var response = PBAuthenticateResponse()
                            response.header = header.message(meta.revision)
                            let now = WallClock.seconds()
                            response.token =
                                try tokens.jwt?.issue(name, revision: auth.revision, now: now)
                                ?? tokens.issue(name, auth, now: now)
                            return try MessageBuffer.make(allocator, response)
                        }
                    )
                }
                if let refused { throw refused }
            } catch {
                answer(.failure(error))
            }
        }
        if let refused { throw refused }
    }

    // MARK: - Reading

    private static func read(
        _ stream: ServerStream,
        _ body: @escaping @Sendable (LoadedSystem?, Caller, PBResponseHeader) throws -> any Message
    ) {
        let (store, header, allocator, caller) = (
            stream.context.store, stream.context.header, stream.allocator, stream.caller
        )
        KVService.onReader(stream) { reader in
            defer { reader.endSnapshot() }
            let meta = try reader.beginSnapshot()
            return try MessageBuffer.make(
                allocator,
                try body(try store.system(meta, reader), caller, header.message(meta.revision))
            )
        }
    }

    static func status(_ stream: ServerStream) {
        read(stream) { system, _, header in
            var response = PBAuthStatusResponse()
            response.header = header
            let auth = system?.state.auth
            response.enabled = auth?.isEnabled ?? false
            response.authRevision = UInt64(auth?.revision ?? 1)
            return response
        }
    }

    static func getUser(_ stream: ServerStream, _ message: ByteBuffer) throws {
        let name = try PBAuthUserGetRequest(wire: message).name
        read(stream) { system, caller, header in
            try system?.checkSelf(name, caller)
            guard let user = system?.state.auth.user(name) else { throw DroverError(.userNotFound) }
            var response = PBAuthUserGetResponse()
            response.header = header
            response.roles = user.roles
            return response
        }
    }

    static func listUsers(_ stream: ServerStream) {
        read(stream) { system, caller, header in
            try system?.checkAdministrator(caller)
            var response = PBAuthUserListResponse()
            response.header = header
            response.users = system?.state.auth.users.map(\.name) ?? []
            return response
        }
    }

    static func getRole(_ stream: ServerStream, _ message: ByteBuffer) throws {
        let name = try PBAuthRoleGetRequest(wire: message).role
        read(stream) { system, caller, header in
            try system?.checkOwnRole(name, caller)
            guard let role = system?.state.auth.role(name) else { throw DroverError(.roleNotFound) }
            var response = PBAuthRoleGetResponse()
            response.header = header
            // It may do everything, whatever was granted to it. Source: etcd `server/auth/store.go`, `RoleGet`, of 3.6.
            let all = AuthPermission(kind: .readWrite, key: [], rangeEnd: [0])
            let permissions = role.name == AuthState.rootRole ? [all] : role.permissions
            response.perm = permissions.map { permission in
                var perm = PBPermission()
                perm.permType = .init(rawValue: Int(permission.kind.rawValue)) ?? .read
                perm.key = .init(permission.key)
                perm.rangeEnd = .init(permission.rangeEnd)
                return perm
            }
            return response
        }
    }

    static func listRoles(_ stream: ServerStream) {
        read(stream) { system, caller, header in
            try system?.checkAdministrator(caller)
            var response = PBAuthRoleListResponse()
            response.header = header
            response.roles = system?.state.auth.roles.map(\.name) ?? []
            return response
        }
    }
}
