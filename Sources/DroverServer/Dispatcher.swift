import Drover
import EtcdAPI
import NIOCore

/// From a decoded path and message to the service that answers it.
enum Dispatcher {
    /// The stream's head is complete: streaming calls begin.
    static func begin(_ stream: ServerStream) {
        switch stream.route {
        case .watch: stream.session = WatchStream(stream)
        case .leaseKeepAlive: stream.session = LeaseKeepAliveStream(stream)
        case .defragment: stream.session = MaintenanceService.defragment(stream)
        case .hash, .hashKV: stream.session = MaintenanceService.hash(stream)
        case .rangeStream: stream.session = RangeStreamService.call(stream)
        case .snapshot: stream.session = SnapshotService.call(stream)
        case .lock: stream.session = LockService.lock(stream)
        case .unlock: stream.session = LockService.unlock(stream)
        case .campaign: stream.session = ElectionService.campaign(stream)
        case .proclaim: stream.session = ElectionService.proclaim(stream)
        case .leader: stream.session = ElectionService.leader(stream)
        case .observe: stream.session = ElectionService.observe(stream)
        case .resign: stream.session = ElectionService.resign(stream)
        default: break
        }
    }

    /// One whole message has arrived.
    static func message(_ stream: ServerStream, _ message: ByteBuffer) {
        // What is only read may be as long as can be received. Source: etcd `server/etcdserver/v3_server.go`: proposals are
        // measured.
        let limit = stream.context.configuration.limits.requestBytes
        if message.readableBytes > limit, !stream.route.streamsRequests, !stream.route.mayOnlyRead {
            return stream.fail(DroverError(.requestTooLarge))
        }
        if let session = stream.session { return session.received(message) }
        stream.dispatched = true
        do {
            switch stream.route {
            case .range: try KVService.range(stream, message)
            case .put: try KVService.put(stream, message)
            case .deleteRange: try KVService.deleteRange(stream, message)
            case .txn: try KVService.txn(stream, message)
            case .compact: try KVService.compact(stream, message)
            case .leaseGrant: try LeaseService.grant(stream, message)
            case .leaseRevoke: try LeaseService.revoke(stream, message)
            case .leaseTimeToLive: try LeaseService.timeToLive(stream, message)
            case .leaseLeases: try LeaseService.leases(stream)
            case .memberList: try ClusterService.memberList(stream)
            case .memberAdd: try ClusterService.add(stream, message)
            case .memberRemove: try ClusterService.remove(stream, message)
            case .memberUpdate: try ClusterService.update(stream, message)
            case .memberPromote: try ClusterService.promote(stream, message)
            case .moveLeader: try MaintenanceService.moveLeader(stream, message)
            case .downgrade: try MaintenanceService.downgrade(stream, message)
            case .status: MaintenanceService.status(stream)
            case .alarm: try MaintenanceService.alarm(stream, message)
            case .healthCheck: try HealthService.check(stream, message)
            case .healthWatch: try HealthService.watch(stream, message)
            case .authEnable: AuthService.enable(stream)
            case .authDisable: AuthService.disable(stream)
            case .authStatus: AuthService.status(stream)
            case .authenticate: try AuthService.authenticate(stream, message)
            case .userAdd: try AuthService.addUser(stream, message)
            case .userGet: try AuthService.getUser(stream, message)
            case .userList: AuthService.listUsers(stream)
            case .userDelete: try AuthService.deleteUser(stream, message)
            case .userChangePassword: try AuthService.changePassword(stream, message)
            case .userGrantRole: try AuthService.grantRole(stream, message)
            case .userRevokeRole: try AuthService.revokeRole(stream, message)
            case .roleAdd: try AuthService.addRole(stream, message)
            case .roleGet: try AuthService.getRole(stream, message)
            case .roleList: AuthService.listRoles(stream)
            case .roleDelete: try AuthService.deleteRole(stream, message)
            case .roleGrantPermission: try AuthService.grantPermission(stream, message)
            case .roleRevokePermission: try AuthService.revokePermission(stream, message)
            // These have sessions.
            case .watch, .leaseKeepAlive, .defragment, .hash, .hashKV, .rangeStream, .snapshot, .lock, .unlock,
                .campaign, .proclaim, .leader, .observe, .resign:
                break
            }
        } catch {
            stream.fail(error)
        }
    }
}
