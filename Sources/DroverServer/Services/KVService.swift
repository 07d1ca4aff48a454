import Drover
import EtcdAPI
import NIOCore

/// `etcdserverpb.KV`.
enum KVService {
    static func range(_ stream: ServerStream, _ message: ByteBuffer) throws {
        let request = try message.withUnsafeReadableBytes { try RequestDecoder.range($0) }
        let context = stream.context
        try context.store.validator.check(request)
        if try answerInline(stream, request, context) { return }
        // What is longer than any key would only be kept while it waits.
        if context.store.queuesPoints && request.isPlainPoint,
            request.range.lower.count <= context.store.validator.maximumKeyBytes
        {
            return context.enqueue(request, for: stream)
        }
        if request.hasDefaultOrder && !request.hasRevisionFilter && !request.countOnly {
            return RangeStreamer(stream, request).start()
        }
        let (header, allocator, caller) = (context.header, stream.allocator, stream.caller)
        onReader(stream, bytes: message.readableBytes) { reader in
            let response = try context.store.range(request, reader, caller: caller)
            var buffer = MessageBuffer.make(allocator, capacity: 256)
            ResponseEncoder.append(response, header, to: &buffer)
            MessageBuffer.seal(&buffer)
            return buffer
        }
    }

    /// A point read of the newest state does not change threads where the database is embedded.
    private static func answerInline(
        _ stream: ServerStream,
        _ request: RangeRequest,
        _ context: LoopContext
    ) throws -> Bool {
        guard let reader = context.reader, request.range.isSingle, request.revision <= 0,
            !request.hasRevisionFilter
        else { return false }
        let values = !request.keysOnly && !request.countOnly
        var buffer = MessageBuffer.make(stream.allocator, capacity: 1_280)
        var found = false
        var tooLong = false
        // The header comes first and needs the revision, which the driver returns with the row: rows go to a buffer of
        // their own only when there is one.
        var row = ByteBuffer()
        let meta = try reader.point(
            request.range.lower,
            values: values,
            longest: context.configuration.limits.inlineValueBytes
        ) { view in
            found = true
            if values && view.value.count != view.valueLength {
                tooLong = true
                return
            }
            if !request.countOnly {
                row = stream.allocator.buffer(capacity: view.key.count + view.value.count + 64)
                ResponseEncoder.appendRangeRow(view, to: &row)
            }
        }
        if tooLong { return false }
        if meta.systemRevision != 0 {
            try context.store.authorize(meta, reader) { try $0.checkRead(request.range, stream.caller) }
        }
        ResponseEncoder.appendHeader(context.header, meta.revision, to: &buffer)
        if row.readableBytes > 0 { buffer.writeBuffer(&row) }
        if found { ResponseEncoder.appendRangeTail(more: false, count: 1, to: &buffer) }
        MessageBuffer.seal(&buffer)
        stream.reply(buffer)
        return true
    }

    /// A point read was answered.
    static func complete(_ read: PointWaiter, _ answer: PointAnswer, _ context: LoopContext) {
        let stream = read.stream
        if stream.ended { return }
        switch answer.result {
        case .failure(let error):
            stream.fail(error)
        case .success(let (revision, kv)):
            var buffer = MessageBuffer.make(stream.allocator, capacity: 128 + (kv.map { $0.value.count } ?? 0))
            ResponseEncoder.append(read.request.answer(kv, revision: revision), context.header, to: &buffer)
            MessageBuffer.seal(&buffer)
            stream.reply(buffer)
        }
    }

    static func put(_ stream: ServerStream, _ message: ByteBuffer) throws {
        let request = try message.withUnsafeReadableBytes { try RequestDecoder.put($0) }
        try stream.context.store.validator.check(request)
        stream.context.enqueue(.put(request), for: stream)
    }

    static func deleteRange(_ stream: ServerStream, _ message: ByteBuffer) throws {
        let request = try message.withUnsafeReadableBytes { try RequestDecoder.deleteRange($0) }
        try stream.context.store.validator.check(request)
        stream.context.enqueue(.deleteRange(request), for: stream)
    }

    static func txn(_ stream: ServerStream, _ message: ByteBuffer) throws {
        let request = try message.withUnsafeReadableBytes { try RequestDecoder.txn($0) }
        let context = stream.context
        try context.store.validator.check(request)
        if !request.isReadOnly {
            if message.readableBytes > context.configuration.limits.requestBytes {
                throw DroverError(.requestTooLarge)
            }
            return context.enqueue(.txn(request), for: stream)
        }
        let (header, allocator, caller) = (context.header, stream.allocator, stream.caller)
        onReader(stream, bytes: message.readableBytes) { reader in
            let response = try context.store.readOnlyTxn(request, reader, caller: caller)
            var buffer = MessageBuffer.make(allocator, capacity: 256)
            ResponseEncoder.append(response, header, to: &buffer)
            MessageBuffer.seal(&buffer)
            return buffer
        }
    }

    static func compact(_ stream: ServerStream, _ message: ByteBuffer) throws {
        let request = try PBCompactionRequest(wire: message)
        stream.context.enqueue(.compact(revision: request.revision, physical: request.physical), for: stream)
    }

    /// A write was answered.
    static func complete(
        _ stream: ServerStream,
        _ result: Result<WriteReply, DroverError>,
        _ context: LoopContext
    ) {
        if stream.ended { return }
        let header = context.header
        switch result {
        case .failure(let error):
            stream.fail(error)
        case .success(let reply):
            var buffer = MessageBuffer.make(stream.allocator, capacity: 64)
            if case .alarm = stream.route, case .system(let revision, let alarms) = reply {
                return MaintenanceService.answer(stream, alarms, revision: revision)
            }
            switch reply {
            case .put(let response): ResponseEncoder.append(response, header, to: &buffer)
            case .deleteRange(let response): ResponseEncoder.append(response, header, to: &buffer)
            case .txn(let response): ResponseEncoder.append(response, header, to: &buffer)
            case .compact(let revision), .leaseRevoke(let revision), .system(let revision, _):
                ResponseEncoder.appendHeaderOnly(header, revision, to: &buffer)
            case .leaseGrant(let revision, let lease):
                ResponseEncoder.appendLease(header, revision, id: lease.id, ttl: lease.grantedTTL, to: &buffer)
            }
            MessageBuffer.seal(&buffer)
            stream.reply(buffer, isCommitted: true)
        }
    }

    /// Runs `body` on a reader thread and answers with what it returns.
    ///
    /// - Parameter bytes: what the request holds while it waits.
    static func onReader(
        _ stream: ServerStream,
        bytes: Int = 0,
        _ body: @escaping @Sendable (any DriverReader) throws -> ByteBuffer
    ) {
        let context = stream.context
        // The stream is touched on its loop alone.
        let bound = NIOLoopBound(stream, eventLoop: context.loop)
        let end = CallEnd()
        stream.end = end
        let refused = context.store.read(bytes: bytes) { reader in
            // Its client has left, or waits no longer: those behind it may still be served in time.
            if end.isSet { return }
            let result = Result { try body(reader) }
            context.loop.execute {
                switch result {
                case .success(let buffer): bound.value.reply(buffer)
                case .failure(let error): bound.value.fail(error)
                }
                context.flush()
            }
        }
        if let refused { stream.fail(refused) }
    }
}
