import Drover
import EtcdAPI
import NIOCore

/// `etcdserverpb.Maintenance`, but for snapshots.
enum MaintenanceService {
    static func status(_ stream: ServerStream) {
        let context = stream.context
        let (allocator, caller) = (stream.allocator, stream.caller)
        let target = context.downgrade.withLock { $0 }
        KVService.onReader(stream) { reader in
            defer { reader.endSnapshot() }
            let meta = try reader.beginSnapshot()
            let system = try context.store.system(meta, reader)
            try system?.checkUser(caller)
            let size = try reader.size()
            var response = PBStatusResponse()
            response.header = context.header.message(meta.revision)
            response.version = context.information.etcdVersion
            response.storageVersion = context.information.clusterVersion
            response.dbSize = size.total
            response.dbSizeInUse = size.inUse
            response.dbSizeQuota = context.store.quota.bytes
            response.leader = context.store.memberID
            // There is no raft; the batch counter is what every change moves.
            response.raftIndex = UInt64(meta.batch)
            response.raftAppliedIndex = UInt64(meta.batch)
            response.raftTerm = context.header.raftTerm
            response.errors = (system?.state.alarms ?? []).map { "memberID:\($0.member) alarm:\($0.name) " }
            if let target {
                response.downgradeInfo.enabled = true
                response.downgradeInfo.targetVersion = target
            }
            return try MessageBuffer.make(allocator, response)
        }
    }

    // MARK: - Alarms

    static func alarm(_ stream: ServerStream, _ message: ByteBuffer) throws {
        let request = try PBAlarmRequest(wire: message)
        let kind = Alarm.Kind(rawValue: UInt8(clamping: request.alarm.rawValue))
        switch request.action {
        case .get:
            listAlarms(stream, kind, member: request.memberID)
        case .activate:
            guard let kind else { return answerUnchanged(stream) }
            stream.context.enqueue(.system(.activate(Alarm(kind: kind, member: request.memberID))), for: stream)
        case .deactivate:
            guard let kind else { return answerUnchanged(stream) }
            stream.context.enqueue(.system(.deactivate(Alarm(kind: kind, member: request.memberID))), for: stream)
        case .UNRECOGNIZED:
            answerUnchanged(stream)
        }
    }

    private static func listAlarms(_ stream: ServerStream, _ kind: Alarm.Kind?, member: UInt64) {
        let (store, header, allocator, caller) = (
            stream.context.store, stream.context.header, stream.allocator, stream.caller
        )
        KVService.onReader(stream) { reader in
            defer { reader.endSnapshot() }
            let meta = try reader.beginSnapshot()
            let system = try store.system(meta, reader)
            try system?.checkUser(caller)
            var response = PBAlarmResponse()
            response.header = header.message(meta.revision)
            response.alarms = members((system?.state.alarms ?? []).filter { kind == nil || $0.kind == kind })
            return try MessageBuffer.make(allocator, response)
        }
    }

    /// An alarm of no kind: etcd does nothing and says so.
    private static func answerUnchanged(_ stream: ServerStream) {
        let (store, header, allocator, caller) = (
            stream.context.store, stream.context.header, stream.allocator, stream.caller
        )
        KVService.onReader(stream) { reader in
            defer { reader.endSnapshot() }
            let meta = try reader.beginSnapshot()
            try store.system(meta, reader)?.checkAdministrator(caller)
            var response = PBAlarmResponse()
            response.header = header.message(meta.revision)
            return try MessageBuffer.make(allocator, response)
        }
    }

    private static func members(_ alarms: [Alarm]) -> [PBAlarmMember] {
        alarms.map { alarm in
            var member = PBAlarmMember()
            member.memberID = alarm.member
            member.alarm = .init(rawValue: Int(alarm.kind.rawValue)) ?? .none
            return member
        }
    }

    /// Alarms were raised or disarmed.
    static func answer(_ stream: ServerStream, _ alarms: [Alarm], revision: Int64) {
        var response = PBAlarmResponse()
        response.header = stream.context.header.message(revision)
        response.alarms = members(alarms)
        do {
            stream.reply(try MessageBuffer.make(stream.allocator, response))
        } catch {
            stream.fail(error)
        }
    }

    // MARK: - Hashes

    static func hash(_ stream: ServerStream) -> TaskSession {
        let (store, header, route) = (stream.context.store, stream.context.header, stream.route)
        return TaskSession(stream) { message, _ in
            try await store.authorize(administers: true)
            if route == .hash {
                let hash = try await store.hash(at: 0)
                var response = PBHashResponse()
                response.header = header.message(hash.currentRevision)
                response.hash = hash.value
                return response
            }
            let hash = try await store.hash(at: try PBHashKVRequest(wire: message).revision)
            var response = PBHashKVResponse()
            response.header = header.message(hash.currentRevision)
            response.hash = hash.value
            // etcd: -1 where nothing has been compacted (`server/storage/mvcc/kvstore.go`, NewStore).
            response.compactRevision = hash.compactedRevision == 0 ? -1 : hash.compactedRevision
            response.hashRevision = hash.revision
            return response
        }
    }

    /// Gives space back. etcd leaves the header of the reply out.
    static func defragment(_ stream: ServerStream) -> TaskSession {
        let store = stream.context.store
        return TaskSession(stream) { _, _ in
            try await store.authorize(administers: true)
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
        if case .UNRECOGNIZED = request.action {
            return stream.fail(CallStatus(code: 2, message: "etcdserver: unknown method"))
        }
        let job = stream.context.downgrade
        let (header, version) = (stream.context.header, stream.context.information.clusterVersion)
        ClusterService.asAdministrator(stream) { meta, _ in
            switch request.action {
            case .validate, .enable:
                let wanted = try check(request.version, present: version)
                try job.withLock { target in
                    if target != nil { throw DroverError(.downgradeInProcess) }
                    if request.action == .enable { target = wanted }
                }
            case .cancel:
                try job.withLock { target in
                    if target == nil { throw DroverError(.noInflightDowngrade) }
                    target = nil
                }
            case .UNRECOGNIZED: break
            }
            var response = PBDowngradeResponse()
            response.header = header.message(meta.revision)
            response.version = version
            return response
        }
    }

    private static func check(_ target: String, present: String) throws -> String {
        // Two numbers are taken for a version as well, and what comes third makes no difference, as in etcd.
        func parts(_ version: String) -> [Int]? {
            let parts = version.split(separator: ".", omittingEmptySubsequences: false).map { Int($0) }
            guard (2...3).contains(parts.count), !parts.contains(nil) else { return nil }
            return parts.prefix(2).compactMap { $0 }
        }
        guard let wanted = parts(target) else {
            throw DroverError(.wrongDowngradeVersionFormat)
        }
        guard let now = parts(present), wanted == [now[0], now[1] - 1] else {
            throw DroverError(.invalidDowngradeTargetVersion)
        }
        return "\(wanted[0]).\(wanted[1]).0"
    }
}
