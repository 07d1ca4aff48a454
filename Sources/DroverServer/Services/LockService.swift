import Drover
import EtcdAPI
import NIOCore
import SwiftProtobuf

/// `v3lockpb.Lock`. Source: etcd `server/etcdserver/api/v3lock`, `client/v3/concurrency/mutex.go`.
enum LockService {
    static func lock(_ stream: ServerStream) -> TaskSession {
        let (store, header) = (stream.context.store, stream.context.header)
        return ContenderQueue.call(stream) { message, _ in
            let request = try PBLockRequest(wire: message)
            let queue = ContenderQueue(store, name: Bytes(request.name))
            let lease = try await queue.session(request.lease)
            let key = queue.key(lease: lease)
            let own = RequestOperation.range(RangeRequest(key: key))
            let claim = TxnRequest(
                compares: [Compare(key: key, .createRevision(0))],
                success: [.put(PutRequest(key: key, value: [], lease: lease)), .range(queue.owner)],
                failure: [own, .range(queue.owner)]
            )
            let reply = try await store.txn(claim)
            var revision = reply.revision
            if !reply.succeeded, case .range(let found) = reply.responses[0], let kv = found.kvs.first {
                revision = kv.createRevision
            }
            var response = PBLockResponse()
            response.key = .init(key)
            if case .range(let owner) = reply.responses[1],
                owner.kvs.isEmpty || owner.kvs[0].createRevision == revision
            {
                response.header = header.message(reply.revision)
                return response
            }
            let mine: RangeResponse
            do {
                try await queue.waitForOlder(than: revision)
                mine = try await store.range(RangeRequest(key: key))
            } catch {
                await queue.withdraw(key)
                throw error
            }
            // The session may have ended while it waited.
            if mine.kvs.isEmpty { throw DroverError(.init(.unknown, "mutex: session is expired")) }
            response.header = header.message(mine.revision)
            return response
        }
    }

    static func unlock(_ stream: ServerStream) -> TaskSession {
        let (store, header) = (stream.context.store, stream.context.header)
        return ContenderQueue.call(stream) { message, _ in
            let request = try PBUnlockRequest(wire: message)
            let reply = try await store.delete(DeleteRangeRequest(key: Bytes(request.key)))
            var response = PBUnlockResponse()
            response.header = header.message(reply.revision)
            return response
        }
    }
}
