import DroverClient
import EtcdAPI
import Foundation
import SwiftProtobuf

/// Random calls of several users, whose permissions change meanwhile.
extension OracleSession {
    static let people = ["u0", "u1", "u2"]

    /// Users with passwords, roles with a permission each, and auth enabled.
    func enableAuth() async throws {
        for name in Self.people + ["root"] {
            let request = PBAuthUserAddRequest.with {
                $0.name = name
                $0.password = "pw-\(name)"
            }
            try await call("/etcdserverpb.Auth/UserAdd", request, PBAuthUserAddResponse.self)
        }
        for (role, user) in [("root", "root"), ("r0", "u0"), ("r1", "u1"), ("r2", "u2")] {
            let add = PBAuthRoleAddRequest.with { $0.name = role }
            try await call("/etcdserverpb.Auth/RoleAdd", add, PBAuthRoleAddResponse.self)
            let grant = PBAuthUserGrantRoleRequest.with {
                $0.user = user
                $0.role = role
            }
            try await call("/etcdserverpb.Auth/UserGrantRole", grant, PBAuthUserGrantRoleResponse.self)
        }
        // Of no key with two ends, as also what is granted later: etcd keeps such permissions apart in its own way.
        for (role, key, end) in [("r0", "A", "b"), ("r1", "b", "d"), ("r2", "a", "\0")] {
            let request = PBAuthRoleGrantPermissionRequest.with {
                $0.name = role
                $0.perm.permType = .readwrite
                $0.perm.key = Data(key.utf8)
                $0.perm.rangeEnd = Data(end.utf8)
            }
            try await call("/etcdserverpb.Auth/RoleGrantPermission", request, PBAuthRoleGrantPermissionResponse.self)
        }
        try await call("/etcdserverpb.Auth/AuthEnable", PBAuthEnableRequest(), PBAuthEnableResponse.self)
        for name in Self.people + ["root"] { await signIn(name) }
    }

    /// A token of each server for a user.
    private func signIn(_ name: String) async {
        let request = PBAuthenticateRequest.with {
            $0.name = name
            $0.password = "pw-\(name)"
        }
        func token(_ connection: EtcdConnection) async -> Result<String, ClientError> {
            do {
                let reply: PBAuthenticateResponse = try await connection.unary(
                    "/etcdserverpb.Auth/Authenticate",
                    request
                )
                return .success(reply.token)
            } catch {
                return .failure(error as? ClientError ?? ClientError(code: -1, message: "\(error)"))
            }
        }
        compared += 1
        switch (await token(ours), await token(theirs)) {
        case (.success(let mine), .success(let other)): tokens[name] = (mine, other)
        case (.failure(let mine), .failure(let other)) where mine == other: break
        case (let mine, let other): differences.append("Authenticate \(name)\nours: \(mine)\netcd: \(other)")
        }
    }

    /// A call of anyone, or a change of what somebody may.
    func authStep() async throws {
        switch pick(100) {
        case 0..<10:
            caller = chance(90) ? "root" : Self.people[pick(3)]
            try await users()
            // What was changed may have made tokens old.
            if chance(20) { await signIn(caller!) }
        case 10..<12:
            await signIn((Self.people + ["root"])[pick(4)])
        case 12..<17:
            caller = (Self.people + ["root"])[pick(4)]
            try await coordination()
        default:
            caller = chance(2) ? nil : chance(5) ? "root" : Self.people[pick(3)]
            try await dataStep()
        }
        caller = nil
    }
}
