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
            let leases = try store.leases(reader)
            try store.system(meta, reader)?.checkLeases(leases, caller, reader)
            response.header = header.message(meta.revision)
            response.leases = leases.map { id in
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
    /// Renewals whose leases' keys are looked at first, one after the other, as etcd does all.
    private var unchecked: [Int64] = []
    private var isChecking = false
    /// Whether the answer to one that was looked at is due, before the next is looked at.
    private var isRenewing = false
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
                // Nobody else changes an embedded database.
                if try isChecking || mustCheck(context.store.currentSystem) { return check(id) }
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
            // The stream may have ended meanwhile, and is no more then.
            if self.isOver { return }
            do {
                let (revision, system) = try revision.get()
                if try self.isChecking || self.mustCheck(system) { return self.check(id) }
                self.renew(id, revision)
            } catch {
                self.fail(error)
            }
        }
    }

    private func mustCheck(_ system: LoadedSystem?) throws -> Bool {
        try system?.mustWriteKeysOfLeases(stream.caller) ?? false
    }

    private func check(_ id: Int64) {
        if isOver { return }
        // The client waits for none of them.
        if unchecked.count >= context.store.limits.queuedReads { return fail(DroverError(.tooManyRequests)) }
        unchecked.append(id)
        if !isChecking { checkNext() }
    }

    private func checkNext() {
        isChecking = !unchecked.isEmpty
        if isOver || !isChecking { return }
        let id = unchecked.removeFirst()
        let bound = NIOLoopBound(self, eventLoop: context.loop)
        let (loop, store, caller) = (context.loop, context.store, stream.caller)
        let refused = store.read { reader in
            let result = Result { try store.checkRenewal(id, caller, reader) }
            loop.execute { bound.value.checked(id, result) }
        }
        if let refused { fail(refused) }
    }

    private func checked(_ id: Int64, _ result: Result<Int64, any Error>) {
        if isOver { return }
        do {
            let revision = try result.get()
            isRenewing = true
            renew(id, revision)
        } catch {
            fail(error)
        }
        context.flush()
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
        if isRenewing {
            isRenewing = false
            checkNext()
        }
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
