import Drover
import EtcdAPI
import NIOCore
import SwiftProtobuf

/// `v3electionpb.Election`. Source: etcd `server/etcdserver/api/v3election`, `client/v3/concurrency/election.go`.
enum ElectionService {
    private static let notLeader = DroverError(.init(.unknown, "election: not leader"))
    private static let noLeader = DroverError(.init(.unknown, "election: no leader"))
    private static let missingLeader = DroverError(.init(.unknown, "\"leader\" field must be provided"))

    static func campaign(_ stream: ServerStream) -> TaskSession {
        let (store, header) = (stream.context.store, stream.context.header)
        return ContenderQueue.call(stream) { message, _ in
            let request = try PBCampaignRequest(wire: message)
            let queue = ContenderQueue(store, name: Bytes(request.name))
            let lease = try await queue.session(request.lease)
            let key = queue.key(lease: lease)
            let value = Bytes(request.value)
            let claim = TxnRequest(
                compares: [Compare(key: key, .createRevision(0))],
                success: [.put(PutRequest(key: key, value: value, lease: lease))],
                failure: [.range(RangeRequest(key: key))]
            )
            let reply = try await store.txn(claim)
            var revision = reply.revision
            if !reply.succeeded, case .range(let found) = reply.responses[0], let kv = found.kvs.first {
                revision = kv.createRevision
                if kv.value != value {
                    do {
                        _ = try await proclaim(store, key, revision, value, lease: lease)
                    } catch {
                        await queue.withdraw(key)
                        throw error
                    }
                }
            }
            do {
                try await queue.waitForOlder(than: revision)
            } catch {
                if Task.isCancelled { await queue.withdraw(key) }
                throw error
            }
            var response = PBCampaignResponse()
            response.header = header.message(reply.revision)
            response.leader.name = request.name
            response.leader.key = .init(key)
            response.leader.rev = revision
            response.leader.lease = lease
            return response
        }
    }

    /// Puts a new value under the leader's key, while it is the leader's still.
    private static func proclaim(
        _ store: Store,
        _ key: Bytes,
        _ revision: Int64,
        _ value: Bytes,
        lease: Int64
    ) async throws -> Int64 {
        let reply = try await store.txn(
            TxnRequest(
                compares: [Compare(key: key, .createRevision(revision))],
                success: [.put(PutRequest(key: key, value: value, lease: lease))]
            )
        )
        guard reply.succeeded else { throw notLeader }
        return reply.revision
    }

    static func proclaim(_ stream: ServerStream) -> TaskSession {
        let (store, header) = (stream.context.store, stream.context.header)
        return ContenderQueue.call(stream) { message, _ in
            let request = try PBProclaimRequest(wire: message)
            guard request.hasLeader else { throw missingLeader }
            let leader = request.leader
            let lease = try await ContenderQueue(store, name: Bytes(leader.name)).session(leader.lease)
            let revision = try await proclaim(store, Bytes(leader.key), leader.rev, Bytes(request.value), lease: lease)
            var response = PBProclaimResponse()
            response.header = header.message(revision)
            return response
        }
    }

    static func resign(_ stream: ServerStream) -> TaskSession {
        let (store, header) = (stream.context.store, stream.context.header)
        return ContenderQueue.call(stream) { message, _ in
            let request = try PBResignRequest(wire: message)
            guard request.hasLeader else { throw missingLeader }
            let key = Bytes(request.leader.key)
            let reply = try await store.txn(
                TxnRequest(
                    compares: [Compare(key: key, .createRevision(request.leader.rev))],
                    success: [.deleteRange(DeleteRangeRequest(key: key))]
                )
            )
            var response = PBResignResponse()
            response.header = header.message(reply.revision)
            return response
        }
    }

    static func leader(_ stream: ServerStream) -> TaskSession {
        let (store, header) = (stream.context.store, stream.context.header)
        return ContenderQueue.call(stream) { message, _ in
            let request = try PBLeaderRequest(wire: message)
            let reply = try await store.range(ContenderQueue(store, name: Bytes(request.name)).owner)
            guard let kv = reply.kvs.first else { throw noLeader }
            return response(header, reply.revision, kv)
        }
    }

    private static func response(_ header: ResponseHeader, _ revision: Int64, _ kv: KeyValue) -> PBLeaderResponse {
        var response = PBLeaderResponse()
        response.header = header.message(revision)
        response.kv.key = .init(kv.key)
        response.kv.value = .init(kv.value)
        response.kv.createRevision = kv.createRevision
        response.kv.modRevision = kv.modRevision
        response.kv.version = kv.version
        response.kv.lease = kv.lease
        return response
    }

    /// Every leader, and every value each proclaims, until the client goes.
    static func observe(_ stream: ServerStream) -> TaskSession {
        let (store, header) = (stream.context.store, stream.context.header)
        return ContenderQueue.call(stream) { message, send in
            let request = try PBLeaderRequest(wire: message)
            let queue = ContenderQueue(store, name: Bytes(request.name))
            while true {
                try Task.checkCancellation()
                let reply = try await store.range(queue.owner)
                var revision = reply.revision
                let leader: KeyValue
                if let kv = reply.kvs.first {
                    leader = kv
                } else {
                    leader = try await firstPut(store, queue.prefix, from: revision)
                    revision = leader.modRevision
                }
                try await send(response(header, revision, leader))
                let changes = WatchRequest(
                    KeyRange(lower: leader.key, upper: .single),
                    startRevision: revision + 1
                )
                watching: for try await batch in try await store.watch(changes) {
                    for event in batch.events {
                        if event.kind == .delete { break watching }
                        try await send(response(header, event.kv.modRevision, event.kv))
                    }
                }
            }
        }
    }

    private static func firstPut(_ store: Store, _ prefix: Bytes, from revision: Int64) async throws -> KeyValue {
        let request = WatchRequest(KeyRange(prefix: prefix), startRevision: revision)
        for try await batch in try await store.watch(request) {
            if let put = batch.events.first(where: { $0.kind == .put }) { return put.kv }
        }
        try Task.checkCancellation()
        throw DroverError(.init(.unknown, "election: observe closed early"))
    }
}
