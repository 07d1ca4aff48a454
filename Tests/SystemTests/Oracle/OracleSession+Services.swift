import DroverClient
import EtcdAPI
import Foundation

/// Random calls of every service but the store's own.
extension OracleSession {
    private func name(_ prefix: String) -> Data { Data("\(prefix)\(pick(3))".utf8) }

    private func anyLease() -> Int64 { chance(10) || leases.isEmpty ? 999_999 : leases[pick(leases.count)] }

    func service() async throws {
        switch pick(100) {
        case 0..<15:
            // etcd before the later releases of 3.6 lets anyone.
            if !tokens.isEmpty { caller = "root" }
            let request = PBLeaseKeepAliveRequest.with { $0.id = anyLease() }
            try await call("/etcdserverpb.Lease/LeaseKeepAlive", request, PBLeaseKeepAliveResponse.self)
        case 15..<30: try await lock()
        case 30..<55: try await election()
        case 55..<70: try await maintenance()
        case 70..<76: try await cluster()
        default: try await users()
        }
    }

    /// Locks, elections and kept leases: what of these services any etcd asks permission for.
    func coordination() async throws {
        switch pick(4) {
        case 0:
            // etcd before the later releases of 3.6 lets anyone.
            if !tokens.isEmpty { caller = "root" }
            let request = PBLeaseKeepAliveRequest.with { $0.id = anyLease() }
            try await call("/etcdserverpb.Lease/LeaseKeepAlive", request, PBLeaseKeepAliveResponse.self)
        case 1: try await lock()
        default: try await election()
        }
    }

    /// What a revoked lease held is free.
    func forget(lease: Int64) {
        held = held.filter { $0.value != lease }
        leaders = leaders.filter { $0.value.lease != lease }
    }

    /// Whether another lease has a key of the lock or the election, as also a call leaves one that was not permitted all
    /// of what it does. Nobody may wait: the calls come one after the other.
    private func wouldWait(_ name: Data, _ lease: Int64) async throws -> Bool {
        if lease == 999_999 { return false }
        let request = PBRangeRequest.with {
            $0.key = name + Data("/".utf8)
            $0.rangeEnd = name + Data("0".utf8)
        }
        let metadata = tokens["root"].map { [("token", $0.theirs)] } ?? []
        do {
            let found: PBRangeResponse = try await theirs.unary("/etcdserverpb.KV/Range", request, metadata: metadata)
            return found.kvs.contains { $0.lease != lease }
        } catch is ClientError {
            // Nobody may look, so nobody knows.
            return true
        }
    }

    /// Whether a lease has keys that not everybody who may lock may write. etcd before 3.6.9 does not ask whose they are
    /// where a transaction puts with the lease, as locks and elections do.
    private func isShared(_ lease: Int64) async throws -> Bool {
        guard let token = tokens["root"], caller != "root", lease != 999_999 else { return false }
        let request = PBLeaseTimeToLiveRequest.with {
            $0.id = lease
            $0.keys = true
        }
        let found: PBLeaseTimeToLiveResponse
        do {
            found = try await theirs.unary(
                "/etcdserverpb.Lease/LeaseTimeToLive",
                request,
                metadata: [("token", token.theirs)]
            )
        } catch is ClientError {
            // Nobody may look, so nobody knows.
            return true
        }
        // Behind the store's own keys lie those of locks and elections.
        return found.keys.contains { $0.lexicographicallyPrecedes(Data("e".utf8)) }
    }

    private func lock() async throws {
        if chance(60) {
            let request = PBLockRequest.with {
                $0.name = chance(3) ? Data() : name("l")
                $0.lease = anyLease()
            }
            if try await wouldWait(request.name, request.lease) { return }
            if try await isShared(request.lease) { return }
            if try await call("/v3lockpb.Lock/Lock", request, PBLockResponse.self) != nil {
                held[request.name] = request.lease
            }
        } else {
            var request = PBUnlockRequest()
            let name = name("l")
            request.key = name + Data("/\(String(held[name] ?? 7, radix: 16))".utf8)
            if try await call("/v3lockpb.Lock/Unlock", request, PBUnlockResponse.self) != nil { held[name] = nil }
        }
    }

    private func election() async throws {
        let name = name("e")
        var leader =
            leaders[name]
            ?? PBLeaderKey.with {
                $0.name = name
                $0.key = name + Data("/7".utf8)
                $0.lease = 7
            }
        if chance(10) { leader.rev += 1 }
        if chance(5) { leader.key += Data("x".utf8) }
        switch pick(10) {
        case 0..<4:
            let request = PBCampaignRequest.with {
                $0.name = name
                $0.lease = anyLease()
                $0.value = value()
            }
            if try await wouldWait(name, request.lease) { return }
            if try await isShared(request.lease) { return }
            if let replies = try await call("/v3electionpb.Election/Campaign", request, PBCampaignResponse.self) {
                leaders[name] = replies.theirs.leader
            }
        case 4, 5:
            let request = PBLeaderRequest.with { $0.name = name }
            try await call("/v3electionpb.Election/Leader", request, PBLeaderResponse.self)
        case 6, 7:
            let request = PBProclaimRequest.with {
                if chance(95) { $0.leader = leader }
                $0.value = value()
            }
            try await call("/v3electionpb.Election/Proclaim", request, PBProclaimResponse.self)
        default:
            let request = PBResignRequest.with { if chance(95) { $0.leader = leader } }
            let isLeader = request.hasLeader && leader == leaders[name]
            let replies = try await call("/v3electionpb.Election/Resign", request, PBResignResponse.self)
            if isLeader && replies != nil { leaders[name] = nil }
        }
    }

    private func maintenance() async throws {
        switch pick(10) {
        case 0..<3:
            let request = PBHashKVRequest.with { $0.revision = chance(30) ? 0 : someRevision() }
            // etcd before 3.5.16 takes the compacted revision itself for compacted.
            if request.revision == compacted { return }
            try await call("/etcdserverpb.Maintenance/HashKV", request, PBHashKVResponse.self)
        case 3, 4:
            try await call("/etcdserverpb.Maintenance/Status", PBStatusRequest(), PBStatusResponse.self)
        case 5, 6:
            let request = PBAlarmRequest.with { $0.alarm = chance(50) ? .none : .nospace }
            try await call("/etcdserverpb.Maintenance/Alarm", request, PBAlarmResponse.self)
        case 7:
            // While there is no room, some calls are refused.
            for action in [PBAlarmRequest.AlarmAction.activate, .get, .deactivate, .deactivate] {
                let request = PBAlarmRequest.with {
                    $0.action = action
                    $0.alarm = .nospace
                }
                try await call("/etcdserverpb.Maintenance/Alarm", request, PBAlarmResponse.self)
                if action != .get { continue }
                try await call("/etcdserverpb.KV/Put", put(), PBPutResponse.self)
                try await call("/etcdserverpb.KV/DeleteRange", delete(), PBDeleteRangeResponse.self)
                // etcd before 3.6.14 does not count what transactions in a transaction put.
                try await call("/etcdserverpb.KV/Txn", txn(depth: 2), PBTxnResponse.self)
                try await call("/etcdserverpb.KV/Range", range(), PBRangeResponse.self)
            }
        case 8:
            let request = PBMoveLeaderRequest.with { $0.targetID = UInt64(1 + pick(9)) }
            try await call("/etcdserverpb.Maintenance/MoveLeader", request, PBMoveLeaderResponse.self)
            if chance(10) {
                let defragment = PBDefragmentRequest()
                try await call("/etcdserverpb.Maintenance/Defragment", defragment, PBDefragmentResponse.self)
            }
        default:
            let request = PBHealthCheckRequest.with { $0.service = chance(80) ? "" : "nobody" }
            try await call("/grpc.health.v1.Health/Check", request, PBHealthCheckResponse.self)
        }
    }

    private func cluster() async throws {
        let id = UInt64(1 + pick(9))
        switch pick(5) {
        case 0: try await call("/etcdserverpb.Cluster/MemberList", PBMemberListRequest(), PBMemberListResponse.self)
        case 1:
            let request = PBMemberAddRequest.with { if chance(70) { $0.peerUrls = ["nonsense"] } }
            if request.peerUrls.isEmpty { return }
            try await call("/etcdserverpb.Cluster/MemberAdd", request, PBMemberAddResponse.self)
        case 2:
            let request = PBMemberRemoveRequest.with { $0.id = id }
            try await call("/etcdserverpb.Cluster/MemberRemove", request, PBMemberRemoveResponse.self)
        case 3:
            let request = PBMemberUpdateRequest.with {
                $0.id = id
                $0.peerUrls = ["http://127.0.0.1:1"]
            }
            try await call("/etcdserverpb.Cluster/MemberUpdate", request, PBMemberUpdateResponse.self)
        default:
            let request = PBMemberPromoteRequest.with { $0.id = id }
            try await call("/etcdserverpb.Cluster/MemberPromote", request, PBMemberPromoteResponse.self)
        }
    }

    // MARK: - Users

    private func user() -> String { chance(3) ? "" : chance(5) ? "nobody" : "u\(pick(3))" }
    private func role() -> String { chance(3) ? "" : chance(5) ? "none" : "r\(pick(3))" }

    private func permission() -> PBPermission {
        PBPermission.with {
            $0.permType = [.read, .write, .readwrite][pick(3)]
            // etcd before 3.6 takes a permission of no key.
            repeat { $0.key = key() } while $0.key.isEmpty
            // One range for each key: etcd looks for a permission that is there by its key alone, and adds another where
            // it finds one of another range first.
            let ends = [Data(), Data([0]), Data("d".utf8)]
            $0.rangeEnd = ends[Int($0.key.reduce(0, &+)) % 3]
        }
    }

    func users() async throws {
        switch pick(100) {
        case 0..<10:
            let request = PBAuthUserAddRequest.with {
                $0.name = user()
                if chance(20) { $0.password = "pw-\($0.name)" } else { $0.options.noPassword = true }
            }
            // etcd 3.4 takes a user without a name.
            if isOld && request.name.isEmpty { return }
            try await call("/etcdserverpb.Auth/UserAdd", request, PBAuthUserAddResponse.self)
        case 10..<18:
            let request = PBAuthUserGetRequest.with { $0.name = user() }
            try await call("/etcdserverpb.Auth/UserGet", request, PBAuthUserGetResponse.self)
        case 18..<24:
            try await call("/etcdserverpb.Auth/UserList", PBAuthUserListRequest(), PBAuthUserListResponse.self)
        case 24..<29:
            let request = PBAuthUserDeleteRequest.with { $0.name = user() }
            if !tokens.isEmpty && tokens[request.name] != nil { return }
            try await call("/etcdserverpb.Auth/UserDelete", request, PBAuthUserDeleteResponse.self)
        case 29..<31:
            let request = PBAuthUserChangePasswordRequest.with {
                $0.name = chance(50) ? "nobody" : user()
                $0.password = "pw-\($0.name)"
            }
            try await call("/etcdserverpb.Auth/UserChangePassword", request, PBAuthUserChangePasswordResponse.self)
        case 31..<41:
            let request = PBAuthUserGrantRoleRequest.with {
                $0.user = user()
                $0.role = role()
            }
            try await call("/etcdserverpb.Auth/UserGrantRole", request, PBAuthUserGrantRoleResponse.self)
        case 41..<48:
            let request = PBAuthUserRevokeRoleRequest.with {
                $0.name = user()
                $0.role = role()
            }
            try await call("/etcdserverpb.Auth/UserRevokeRole", request, PBAuthUserRevokeRoleResponse.self)
        case 48..<55:
            let request = PBAuthRoleAddRequest.with { $0.name = role() }
            try await call("/etcdserverpb.Auth/RoleAdd", request, PBAuthRoleAddResponse.self)
        case 55..<63:
            let request = PBAuthRoleGetRequest.with { $0.role = role() }
            try await call("/etcdserverpb.Auth/RoleGet", request, PBAuthRoleGetResponse.self)
        case 63..<68:
            try await call("/etcdserverpb.Auth/RoleList", PBAuthRoleListRequest(), PBAuthRoleListResponse.self)
        case 68..<71:
            let request = PBAuthRoleDeleteRequest.with { $0.role = role() }
            try await call("/etcdserverpb.Auth/RoleDelete", request, PBAuthRoleDeleteResponse.self)
        case 71..<83:
            let request = PBAuthRoleGrantPermissionRequest.with {
                $0.name = role()
                $0.perm = permission()
            }
            try await call("/etcdserverpb.Auth/RoleGrantPermission", request, PBAuthRoleGrantPermissionResponse.self)
        case 83..<91:
            let request = PBAuthRoleRevokePermissionRequest.with {
                let permission = permission()
                $0.role = role()
                $0.key = permission.key
                $0.rangeEnd = permission.rangeEnd
            }
            try await call("/etcdserverpb.Auth/RoleRevokePermission", request, PBAuthRoleRevokePermissionResponse.self)
        case 91..<94:
            // etcd before 3.7 tells administrators alone.
            if isOld || (!tokens.isEmpty && caller != "root") { return }
            try await call("/etcdserverpb.Auth/AuthStatus", PBAuthStatusRequest(), PBAuthStatusResponse.self)
        case 94..<97:
            // Of one made without a password each release has words of its own.
            let request = PBAuthenticateRequest.with {
                $0.name = (Self.people + ["root", "missing"])[pick(5)]
                $0.password = "wrong"
            }
            try await call("/etcdserverpb.Auth/Authenticate", request, PBAuthenticateResponse.self)
        default:
            // There is no user root, or auth is enabled already.
            try await call("/etcdserverpb.Auth/AuthEnable", PBAuthEnableRequest(), PBAuthEnableResponse.self)
        }
    }
}
