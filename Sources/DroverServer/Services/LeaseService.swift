import Drover
import EtcdAPI
import NIOCore

/// `etcdserverpb.Lease`.
enum LeaseService {
    static func grant(_ stream: ServerStream, _ message: ByteBuffer) throws {
        let request = try PBLeaseGrantRequest(wire: message)
        stream.context.enqueue(
            try stream.context.store.leaseGrantOperation(id: request.id, ttl: request.ttl),
            for: stream
        )
    }

    static func revoke(_ stream: ServerStream, _ message: ByteBuffer) throws {
        let request = try PBLeaseRevokeRequest(wire: message)
        stream.context.enqueue(.leaseRevoke(id: request.id), for: stream)
    }

    static func timeToLive(_ stream: ServerStream, _ message: ByteBuffer) throws {
        let request = try PBLeaseTimeToLiveRequest(wire: message)
        let (header, allocator, store) = (stream.context.header, stream.allocator, stream.context.store)
        let caller = stream.caller
        KVService.onReader(stream) { reader in
            defer { reader.endSnapshot() }
            let meta = try reader.beginSnapshot()
            let system = try store.system(meta, reader)
            try system?.checkUser(caller)
            var response = PBLeaseTimeToLiveResponse()
            response.header = header.message(meta.revision)
            response.id = request.id
            if let (remaining, granted) = try store.timeToLive(request.id, reader) {
                response.ttl = remaining
                response.grantedTtl = granted
                if request.keys {
                    let keys = try reader.keys(attachedTo: request.id)
                    for key in keys { try system?.checkRead(KeyRange(lower: key, upper: .single), caller) }
                    response.keys = keys.map { .init($0) }
                }
            } else {
                response.ttl = -1
            }
            return try MessageBuffer.make(allocator, response)
        }
    }

    static func leases(_ stream: ServerStream) throws {
        let (header, allocator, store) = (stream.context.header, stream.allocator, stream.context.store)
        let caller = stream.caller
        KVService.onReader(stream) { reader in
            defer { reader.endSnapshot() }
            var response = PBLeaseLeasesResponse()
            let meta = try reader.beginSnapshot()
            try store.system(meta, reader)?.checkUser(caller)
            response.header = header.message(meta.revision)
            response.leases = try store.leases(reader).map { id in
                var status = PBLeaseStatus()
                status.id = id
                return status
            }
            return try MessageBuffer.make(allocator, response)
        }
    }
}

/// A keep-alive stream: one answer for each request, in order.
final class LeaseKeepAliveStream: StreamSession {
    private unowned let stream: ServerStream
    private let context: LoopContext
    private var waiting = 0
    private var clientIsDone = false

    init(_ stream: ServerStream) {
        self.stream = stream
        context = stream.context
    }

    func received(_ message: ByteBuffer) {
        let id: Int64
        do {
            id = try message.withUnsafeReadableBytes { try RequestDecoder.leaseKeepAlive($0) }
        } catch {
            return stream.fail(error)
        }
        waiting += 1
        if let reader = context.reader {
            // etcd fills the header before it renews.
            do {
                // Clients send the renewals of many leases together.
                if context.revisionOfRead == nil {
                    defer { reader.endSnapshot() }
                    context.revisionOfRead = try reader.beginSnapshot().revision
                }
                renew(id, context.revisionOfRead!)
            } catch {
                stream.fail(error)
            }
            return
        }
        context.revisions.read { revision in
            switch revision {
            case .success(let revision): self.renew(id, revision)
            case .failure(let error): self.fail(error)
            }
        }
    }

    private func fail(_ error: any Error) {
        if !isOver { stream.fail(error) }
    }

    private var isOver = false

    private func renew(_ id: Int64, _ revision: Int64) {
        if isOver { return }
        let bound = NIOLoopBound(self, eventLoop: context.loop)
        let context = context
        context.store.renewLease(id) { result in
            if context.loop.inEventLoop {
                bound.value.answer(id, revision, result)
            } else {
                context.loop.execute {
                    bound.value.answer(id, revision, result)
                    context.flush()
                }
            }
        }
    }

    private func answer(_ id: Int64, _ revision: Int64, _ result: Result<Int64?, DroverError>) {
        if isOver { return }
        let ttl: Int64?
        switch result {
        case .success(let granted): ttl = granted
        case .failure(let error): return stream.fail(error)
        }
        var buffer = MessageBuffer.make(stream.allocator, capacity: 64)
        ResponseEncoder.appendLease(context.header, revision, id: id, ttl: ttl ?? 0, to: &buffer)
        MessageBuffer.seal(&buffer)
        stream.send(buffer)
        waiting -= 1
        if isOver { return }
        if clientIsDone && waiting == 0 { stream.finish() }
    }

    func requestEnded() {
        clientIsDone = true
        if waiting == 0 { stream.finish() }
    }

    func ended() {
        isOver = true
    }
}
