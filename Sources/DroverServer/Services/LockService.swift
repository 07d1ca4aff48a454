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
            let held = try await store.lock(Bytes(request.name), lease: request.lease)
            var response = PBLockResponse()
            response.key = .init(held.key)
            response.header = header.message(held.revision)
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
