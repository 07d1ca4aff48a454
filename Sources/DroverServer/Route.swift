/// A call of etcd's API, with its paths in both forms.
package enum Route: String, CaseIterable, Sendable {
    case range, rangeStream, put, deleteRange, txn, compact
    case watch
    case leaseGrant, leaseRevoke, leaseKeepAlive, leaseTimeToLive, leaseLeases
    case memberList, memberAdd, memberRemove, memberUpdate, memberPromote
    case status, alarm, defragment, hash, hashKV, snapshot, moveLeader, downgrade
    case authEnable, authDisable, authStatus, authenticate
    case userAdd, userGet, userList, userDelete, userChangePassword, userGrantRole, userRevokeRole
    case roleAdd, roleGet, roleList, roleDelete, roleGrantPermission, roleRevokePermission
    case lock, unlock
    case campaign, proclaim, leader, observe, resign
    case healthCheck, healthWatch

    /// The path of the wire form.
    var wirePath: String {
        switch self {
        case .range: "/etcdserverpb.KV/Range"
        case .put: "/etcdserverpb.KV/Put"
        case .deleteRange: "/etcdserverpb.KV/DeleteRange"
        case .txn: "/etcdserverpb.KV/Txn"
        case .compact: "/etcdserverpb.KV/Compact"
        case .watch: "/etcdserverpb.Watch/Watch"
        case .leaseGrant: "/etcdserverpb.Lease/LeaseGrant"
        case .leaseRevoke: "/etcdserverpb.Lease/LeaseRevoke"
        case .leaseKeepAlive: "/etcdserverpb.Lease/LeaseKeepAlive"
        case .leaseTimeToLive: "/etcdserverpb.Lease/LeaseTimeToLive"
        case .leaseLeases: "/etcdserverpb.Lease/LeaseLeases"
        case .memberList: "/etcdserverpb.Cluster/MemberList"
        case .memberAdd: "/etcdserverpb.Cluster/MemberAdd"
        case .memberRemove: "/etcdserverpb.Cluster/MemberRemove"
        case .memberUpdate: "/etcdserverpb.Cluster/MemberUpdate"
        case .memberPromote: "/etcdserverpb.Cluster/MemberPromote"
        case .defragment: "/etcdserverpb.Maintenance/Defragment"
        case .moveLeader: "/etcdserverpb.Maintenance/MoveLeader"
        case .downgrade: "/etcdserverpb.Maintenance/Downgrade"
        case .status: "/etcdserverpb.Maintenance/Status"
        case .alarm: "/etcdserverpb.Maintenance/Alarm"
        case .lock: "/v3lockpb.Lock/Lock"
        case .unlock: "/v3lockpb.Lock/Unlock"
        case .campaign: "/v3electionpb.Election/Campaign"
        case .proclaim: "/v3electionpb.Election/Proclaim"
        case .leader: "/v3electionpb.Election/Leader"
        case .observe: "/v3electionpb.Election/Observe"
        case .resign: "/v3electionpb.Election/Resign"
        case .rangeStream: "/etcdserverpb.KV/RangeStream"
        case .hash: "/etcdserverpb.Maintenance/Hash"
        case .hashKV: "/etcdserverpb.Maintenance/HashKV"
        case .snapshot: "/etcdserverpb.Maintenance/Snapshot"
        case .authEnable: "/etcdserverpb.Auth/AuthEnable"
        case .authDisable: "/etcdserverpb.Auth/AuthDisable"
        case .authStatus: "/etcdserverpb.Auth/AuthStatus"
        case .authenticate: "/etcdserverpb.Auth/Authenticate"
        case .userAdd: "/etcdserverpb.Auth/UserAdd"
        case .userGet: "/etcdserverpb.Auth/UserGet"
        case .userList: "/etcdserverpb.Auth/UserList"
        case .userDelete: "/etcdserverpb.Auth/UserDelete"
        case .userChangePassword: "/etcdserverpb.Auth/UserChangePassword"
        case .userGrantRole: "/etcdserverpb.Auth/UserGrantRole"
        case .userRevokeRole: "/etcdserverpb.Auth/UserRevokeRole"
        case .roleAdd: "/etcdserverpb.Auth/RoleAdd"
        case .roleGet: "/etcdserverpb.Auth/RoleGet"
        case .roleList: "/etcdserverpb.Auth/RoleList"
        case .roleDelete: "/etcdserverpb.Auth/RoleDelete"
        case .roleGrantPermission: "/etcdserverpb.Auth/RoleGrantPermission"
        case .roleRevokePermission: "/etcdserverpb.Auth/RoleRevokePermission"
        case .healthCheck: "/grpc.health.v1.Health/Check"
        case .healthWatch: "/grpc.health.v1.Health/Watch"
        }
    }

    /// The paths of the JSON form.
    var gatewayPaths: [String] {
        switch self {
        case .range: ["/v3/kv/range"]
        case .put: ["/v3/kv/put"]
        case .deleteRange: ["/v3/kv/deleterange"]
        case .txn: ["/v3/kv/txn"]
        case .compact: ["/v3/kv/compaction"]
        case .watch: ["/v3/watch"]
        case .leaseGrant: ["/v3/lease/grant"]
        case .leaseRevoke: ["/v3/lease/revoke", "/v3/kv/lease/revoke"]
        case .leaseKeepAlive: ["/v3/lease/keepalive"]
        case .leaseTimeToLive: ["/v3/lease/timetolive", "/v3/kv/lease/timetolive"]
        case .leaseLeases: ["/v3/lease/leases", "/v3/kv/lease/leases"]
        case .memberList: ["/v3/cluster/member/list"]
        case .memberAdd: ["/v3/cluster/member/add"]
        case .memberRemove: ["/v3/cluster/member/remove"]
        case .memberUpdate: ["/v3/cluster/member/update"]
        case .memberPromote: ["/v3/cluster/member/promote"]
        case .defragment: ["/v3/maintenance/defragment"]
        case .moveLeader: ["/v3/maintenance/transfer-leadership"]
        case .downgrade: ["/v3/maintenance/downgrade"]
        case .status: ["/v3/maintenance/status"]
        case .alarm: ["/v3/maintenance/alarm"]
        case .lock: ["/v3/lock/lock"]
        case .unlock: ["/v3/lock/unlock"]
        case .campaign: ["/v3/election/campaign"]
        case .proclaim: ["/v3/election/proclaim"]
        case .leader: ["/v3/election/leader"]
        case .observe: ["/v3/election/observe"]
        case .resign: ["/v3/election/resign"]
        case .rangeStream: []
        case .hash: ["/v3/maintenance/hash"]
        case .hashKV: ["/v3/maintenance/hashkv"]
        case .snapshot: ["/v3/maintenance/snapshot"]
        case .authEnable: ["/v3/auth/enable"]
        case .authDisable: ["/v3/auth/disable"]
        case .authStatus: ["/v3/auth/status"]
        case .authenticate: ["/v3/auth/authenticate"]
        case .userAdd: ["/v3/auth/user/add"]
        case .userGet: ["/v3/auth/user/get"]
        case .userList: ["/v3/auth/user/list"]
        case .userDelete: ["/v3/auth/user/delete"]
        case .userChangePassword: ["/v3/auth/user/changepw"]
        case .userGrantRole: ["/v3/auth/user/grant"]
        case .userRevokeRole: ["/v3/auth/user/revoke"]
        case .roleAdd: ["/v3/auth/role/add"]
        case .roleGet: ["/v3/auth/role/get"]
        case .roleList: ["/v3/auth/role/list"]
        case .roleDelete: ["/v3/auth/role/delete"]
        case .roleGrantPermission: ["/v3/auth/role/grant"]
        case .roleRevokePermission: ["/v3/auth/role/revoke"]
        case .healthCheck, .healthWatch: []
        }
    }

    /// Whether the client sends any number of messages.
    var streamsRequests: Bool { self == .watch || self == .leaseKeepAlive }
    /// Whether a call may change nothing, whatever its length.
    var mayOnlyRead: Bool { [.range, .rangeStream, .txn].contains(self) }
    /// Whether the server sends any number of messages.
    var streamsReplies: Bool {
        streamsRequests || [.healthWatch, .observe, .rangeStream, .snapshot].contains(self)
    }

    /// Whether its messages go before lists that are on their way.
    var isUrgent: Bool { streamsReplies && self != .rangeStream && self != .snapshot }

    private static let byWirePath = Dictionary(uniqueKeysWithValues: allCases.map { ($0.wirePath, $0) })
    private static let byGatewayPath = Dictionary(
        uniqueKeysWithValues: allCases.flatMap { route in route.gatewayPaths.map { ($0, route) } }
    )

    static func wire(_ path: String) -> Route? { byWirePath[path] }

    static func gateway(_ path: String) -> Route? {
        // etcd rewrites its older prefix.
        if path.hasPrefix("/v3beta/") { return byGatewayPath["/v3/" + path.dropFirst("/v3beta/".count)] }
        return byGatewayPath[path]
    }

    /// Service and method, as metrics name them.
    var serviceAndMethod: (service: Substring, method: Substring) {
        let parts = wirePath.dropFirst().split(separator: "/")
        return (parts[0], parts[1])
    }
}
