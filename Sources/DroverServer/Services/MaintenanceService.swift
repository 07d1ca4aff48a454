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
}
