import Drover
import EtcdAPI
import NIOCore

/// `etcdserverpb.Maintenance`, as far as it is served.
enum MaintenanceService {
    static func status(_ stream: ServerStream) {
        let context = stream.context
        let allocator = stream.allocator
        KVService.onReader(stream) { reader in
            defer { reader.endSnapshot() }
            let meta = try reader.beginSnapshot()
            let size = try reader.size()
            var response = PBStatusResponse()
            response.header = context.header.message(meta.revision)
            response.version = context.information.etcdVersion
            response.storageVersion = context.information.clusterVersion
            response.dbSize = size.total
            response.dbSizeInUse = size.inUse
            response.leader = context.store.memberID
            // There is no raft; the batch counter is what every change moves.
            response.raftIndex = UInt64(meta.batch)
            response.raftAppliedIndex = UInt64(meta.batch)
            response.raftTerm = context.header.raftTerm
            return try MessageBuffer.make(allocator, response)
        }
    }

    static func alarm(_ stream: ServerStream, _ message: ByteBuffer) throws {
        let request = try PBAlarmRequest(wire: message)
        guard request.action == .get else {
            return stream.fail(
                CallStatus(code: 12, message: "drover: alarms cannot be set or disarmed yet; none is ever raised")
            )
        }
        let (header, allocator) = (stream.context.header, stream.allocator)
        KVService.onReader(stream) { reader in
            defer { reader.endSnapshot() }
            var response = PBAlarmResponse()
            response.header = header.message(try reader.beginSnapshot().revision)
            return try MessageBuffer.make(allocator, response)
        }
    }

    /// Gives space back. etcd leaves the header of the reply out.
    static func defragment(_ stream: ServerStream) -> TaskSession {
        let store = stream.context.store
        return TaskSession(stream) { _, _ in
            try await store.defragment()
            return PBDefragmentResponse()
        }
    }

    /// Every instance leads: a member that lives is a leader already.
    static func moveLeader(_ stream: ServerStream, _ message: ByteBuffer) throws {
        let request = try PBMoveLeaderRequest(wire: message)
        ClusterService.known(stream, request.targetID, otherwise: .badLeaderTransferee) { _, _ in
            PBMoveLeaderResponse()
        }
    }

    /// Source: etcd `server/etcdserver/v3_server.go`, Downgrade.
    static func downgrade(_ stream: ServerStream, _ message: ByteBuffer) throws {
        let request = try PBDowngradeRequest(wire: message)
        let job = stream.context.downgrade
        let version = stream.context.information.clusterVersion
        switch request.action {
        case .validate, .enable:
            try check(request.version, present: version)
            try job.withLock { target in
                if target != nil { throw DroverError(.downgradeInProcess) }
                if request.action == .enable { target = request.version }
            }
        case .cancel:
            try job.withLock { target in
                if target == nil { throw DroverError(.noInflightDowngrade) }
                target = nil
            }
        case .UNRECOGNIZED:
            return stream.fail(CallStatus(code: 2, message: "etcdserver: unknown method"))
        }
        let (header, allocator) = (stream.context.header, stream.allocator)
        KVService.onReader(stream) { reader in
            defer { reader.endSnapshot() }
            var response = PBDowngradeResponse()
            response.header = header.message(try reader.beginSnapshot().revision)
            response.version = version
            return try MessageBuffer.make(allocator, response)
        }
    }

    private static func check(_ target: String, present: String) throws {
        func parts(_ version: String) -> [Int]? {
            let parts = version.split(separator: ".", omittingEmptySubsequences: false).map { Int($0) }
            return parts.count == 3 && !parts.contains(nil) ? parts.compactMap { $0 } : nil
        }
        guard let wanted = parts(target) else {
            throw DroverError(.wrongDowngradeVersionFormat)
        }
        guard let now = parts(present), wanted == [now[0], now[1] - 1, 0] else {
            throw DroverError(.invalidDowngradeTargetVersion)
        }
    }
}
