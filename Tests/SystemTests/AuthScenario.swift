import DroverClient
import EtcdAPI
import Foundation
import SwiftProtobuf
import TestSupport

/// Calls of auth, made one after the other by several users, and what each came to.
final class AuthScenario {
    private let connection: EtcdConnection
    private var tokens: [String: String] = [:]
    private(set) var steps: [String] = []

    init(_ connection: EtcdConnection) { self.connection = connection }

    /// A call's reply without what differs between two servers, or its error. `user` is whose token it carries.
    func call<Request: Message, Reply: Message>(
        _ path: String,
        _ request: Request,
        _ type: Reply.Type,
        as user: String? = nil
    ) async {
        var text: String
        do {
            let reply: Reply = try await connection.unary("/etcdserverpb.\(path)", request, metadata: metadata(user))
            if let reply = reply as? PBAuthenticateResponse, let user { tokens[user] = reply.token }
            text = reply.textFormatString()
                .replacing(/(cluster_id|member_id|raft_term|memberID|leader): \d+\s*/) { _ in "" }
                .replacing(/token: "[^"]*"/) { _ in "token" }
        } catch let error as ClientError {
            text = "\(error.code) \(error.message)"
        } catch {
            text = "\(error)"
        }
        steps.append("\(path) as \(user ?? "nobody"): \(text)")
    }

    private func metadata(_ user: String?) -> [(String, String)] {
        guard let user, let token = tokens[user] else { return [] }
        return [("token", token)]
    }

    func authenticate(_ name: String, _ password: String) async {
        let request = PBAuthenticateRequest.with {
            $0.name = name
            $0.password = password
        }
        // etcd 3.4 looks at the old one.
        tokens[name] = nil
        await call("Auth/Authenticate", request, PBAuthenticateResponse.self, as: name)
    }

    /// Whether the server is an etcd of 3.4, which has fewer calls and fewer headers, and ends itself over one of them.
    static func isOld(_ connection: EtcdConnection) async throws -> Bool {
        let status: PBStatusResponse = try await connection.unary("/etcdserverpb.Maintenance/Status", PBStatusRequest())
        return status.version.hasPrefix("3.4.")
    }

    func useToken(_ token: String, for user: String) { tokens[user] = token }

    func grantLease(_ id: Int64, as user: String? = nil) async {
        let request = PBLeaseGrantRequest.with {
            $0.id = id
            $0.ttl = 600
        }
        await call("Lease/LeaseGrant", request, PBLeaseGrantResponse.self, as: user)
    }

    func revokeLease(_ id: Int64, as user: String?) async {
        let request = PBLeaseRevokeRequest.with { $0.id = id }
        await call("Lease/LeaseRevoke", request, PBLeaseRevokeResponse.self, as: user)
    }

    func put(_ key: String, as user: String?, lease: Int64 = 0, prevKv: Bool = false) async {
        let request = PBPutRequest.with {
            $0.key = Data(key.utf8)
            $0.value = Data("v".utf8)
            $0.lease = lease
            $0.prevKv = prevKv
        }
        await call("KV/Put", request, PBPutResponse.self, as: user)
    }

    func range(_ key: String, _ end: String = "", as user: String?) async {
        let request = PBRangeRequest.with {
            $0.key = Data(key.utf8)
            $0.rangeEnd = Data(end.utf8)
        }
        await call("KV/Range", request, PBRangeResponse.self, as: user)
    }

    func delete(_ key: String, _ end: String = "", as user: String?, prevKv: Bool = false) async {
        let request = PBDeleteRangeRequest.with {
            $0.key = Data(key.utf8)
            $0.rangeEnd = Data(end.utf8)
            $0.prevKv = prevKv
        }
        await call("KV/DeleteRange", request, PBDeleteRangeResponse.self, as: user)
    }

    func txn(
        compare: String? = nil,
        success: [PBRequestOp] = [],
        failure: [PBRequestOp] = [],
        as user: String?
    ) async {
        let request = PBTxnRequest.with { txn in
            if let compare {
                txn.compare = [
                    PBCompare.with {
                        $0.key = Data(compare.utf8)
                        $0.target = .version
                        $0.result = .greater
                        $0.version = 0
                    }
                ]
            }
            txn.success = success
            txn.failure = failure
        }
        await call("KV/Txn", request, PBTxnResponse.self, as: user)
    }

    func addUser(_ name: String, _ password: String, noPassword: Bool = false, as user: String? = nil) async {
        let request = PBAuthUserAddRequest.with {
            $0.name = name
            $0.password = password
            if noPassword { $0.options.noPassword = true }
        }
        await call("Auth/UserAdd", request, PBAuthUserAddResponse.self, as: user)
    }

    func changePassword(_ name: String, _ password: String, as user: String?) async {
        let request = PBAuthUserChangePasswordRequest.with {
            $0.name = name
            $0.password = password
        }
        await call("Auth/UserChangePassword", request, PBAuthUserChangePasswordResponse.self, as: user)
    }

    func grantRole(_ user: String, _ role: String, as caller: String? = nil) async {
        let request = PBAuthUserGrantRoleRequest.with {
            $0.user = user
            $0.role = role
        }
        await call("Auth/UserGrantRole", request, PBAuthUserGrantRoleResponse.self, as: caller)
    }

    func revokeRole(_ user: String, _ role: String, as caller: String? = nil) async {
        let request = PBAuthUserRevokeRoleRequest.with {
            $0.name = user
            $0.role = role
        }
        await call("Auth/UserRevokeRole", request, PBAuthUserRevokeRoleResponse.self, as: caller)
    }

    func addRole(_ name: String, as user: String? = nil) async {
        await call("Auth/RoleAdd", PBAuthRoleAddRequest.with { $0.name = name }, PBAuthRoleAddResponse.self, as: user)
    }

    func grant(
        _ role: String,
        _ kind: PBPermission.TypeEnum,
        _ key: String,
        _ end: String = "",
        as user: String? = nil
    ) async {
        let request = PBAuthRoleGrantPermissionRequest.with {
            $0.name = role
            $0.perm.permType = kind
            $0.perm.key = Data(key.utf8)
            $0.perm.rangeEnd = Data(end.utf8)
        }
        await call("Auth/RoleGrantPermission", request, PBAuthRoleGrantPermissionResponse.self, as: user)
    }

    func revoke(_ role: String, _ key: String, _ end: String = "", as user: String? = nil) async {
        let request = PBAuthRoleRevokePermissionRequest.with {
            $0.role = role
            $0.key = Data(key.utf8)
            $0.rangeEnd = Data(end.utf8)
        }
        await call("Auth/RoleRevokePermission", request, PBAuthRoleRevokePermissionResponse.self, as: user)
    }

    func enable(as user: String? = nil) async {
        await call("Auth/AuthEnable", PBAuthEnableRequest(), PBAuthEnableResponse.self, as: user)
    }

    func disable(as user: String? = nil) async {
        await call("Auth/AuthDisable", PBAuthDisableRequest(), PBAuthDisableResponse.self, as: user)
    }

    func status(as user: String? = nil) async {
        await call("Auth/AuthStatus", PBAuthStatusRequest(), PBAuthStatusResponse.self, as: user)
    }

    func role(_ name: String, as user: String? = nil) async {
        await call("Auth/RoleGet", PBAuthRoleGetRequest.with { $0.role = name }, PBAuthRoleGetResponse.self, as: user)
    }

    func user(_ name: String, as user: String? = nil) async {
        await call("Auth/UserGet", PBAuthUserGetRequest.with { $0.name = name }, PBAuthUserGetResponse.self, as: user)
    }

    func lists(as user: String? = nil) async {
        await call("Auth/UserList", PBAuthUserListRequest(), PBAuthUserListResponse.self, as: user)
        await call("Auth/RoleList", PBAuthRoleListRequest(), PBAuthRoleListResponse.self, as: user)
    }
}
