import DequeModule
import EtcdAPI
import NIOCore

/// Frames out: one buffer for a round's frames, and flow control.
///
/// A reply that fits its windows goes into the buffer at once. Anything else waits in its stream's queue and is sent a
/// frame at a time, streams in turn and watches before lists, as windows open and the socket takes bytes: nothing piles
/// up behind a slow client but what its queue holds, and that is counted.
extension HTTP2Connection {
    /// Bytes that may wait for the socket before data frames do.
    private static let roundBytes = outBytes - HTTP2Frame.maximumPayload - 64
    private static let outBytes = 256 << 10
    /// Bytes that wait and have room, from which on they are taken for those of a round.
    private static let manyBytes = 64 << 10
    /// Bytes of frames for a client that does not read, above which its connection is closed.
    private static let unreadBytes = 4 << 20
    /// What a message that waits takes besides its bytes: its buffer, its place in the queue, and who is told.
    private static let itemBytes = 256
    /// Frames of watches and leases after which another's has its turn.
    private static let urgentAtOnce = 16

    func writeWindowUpdate(_ stream: UInt32, _ increment: Int) {
        out.writeFrameHead(HTTP2Frame.Kind.windowUpdate, stream: stream, length: 4)
        out.writeInteger(UInt32(increment))
        loopContext.needsFlush(self)
    }

    func writeReset(_ stream: UInt32, _ code: HTTP2Frame.ErrorCode) {
        out.writeFrameHead(HTTP2Frame.Kind.reset, stream: stream, length: 4)
        out.writeInteger(code.rawValue)
        loopContext.needsFlush(self)
    }

    private func writeHeaders(_ stream: UInt32, _ block: [UInt8], endStream: Bool) {
        var flags = HTTP2Frame.Flag.endHeaders
        if endStream { flags |= HTTP2Frame.Flag.endStream }
        let length = block.count + (owesTableSize ? 1 : 0)
        out.writeFrameHead(HTTP2Frame.Kind.headers, flags: flags, stream: stream, length: length)
        if owesTableSize {
            owesTableSize = false
            out.writeInteger(HeaderBlock.noTable)
        }
        out.writeBytes(block)
        loopContext.needsFlush(self)
    }

    func flush() {
        guard let context, out.readableBytes > 0 else { return }
        // A write that fails would have what came after the frames that are being read read first.
        if isReading && !isClosing { return loopContext.needsFlush(self) }
        if !context.channel.isWritable {
            // The client does not read. What is owed to it besides data, answers to its pings and resets, must not
            // pile up either.
            if out.readableBytes > Self.unreadBytes { context.close(promise: nil) }
            return
        }
        let bytes = out
        loopContext.metrics.sentBytes.add(bytes.readableBytes, ordering: .relaxed)
        // One that grew to a round's bytes would be copied five times over.
        let comesMore = min(queuedBytes, sendWindow) >= Self.manyBytes
        out = allocator.buffer(capacity: comesMore ? Self.outBytes : 16 << 10)
        context.writeAndFlush(wrapOutboundOut(bytes), promise: nil)
        if hasTurns { pump() }
    }

    func channelWritabilityChanged(context: ChannelHandlerContext) {
        if context.channel.isWritable {
            flush()
            pump()
            loopContext.flush()
            closeIfDone()
        }
        context.fireChannelWritabilityChanged()
    }

    // MARK: - Replies

    func sendUnary(_ stream: HTTP2Stream, _ message: ByteBuffer) {
        if stream.replyEnded { return }
        writeHeaders(
            stream.id,
            stream.call?.encoding == .gzip ? HeaderBlock.gzipHead : HeaderBlock.wireHead,
            endStream: false
        )
        let length = message.readableBytes
        if length <= HTTP2Frame.maximumPayload, length <= stream.sendWindow, length <= sendWindow, mayWriteData {
            stream.sendWindow -= length
            sendWindow -= length
            var message = message
            out.writeFrameHead(HTTP2Frame.Kind.data, stream: stream.id, length: length)
            out.writeBuffer(&message)
            writeHeaders(stream.id, HeaderBlock.okTrailers, endStream: true)
            replyDidEnd(stream)
        } else {
            enqueue(stream, .data(message, nil, endStream: false))
            enqueue(stream, .trailers(HeaderBlock.okTrailers))
            pump()
        }
    }

    func sendHead(_ stream: HTTP2Stream) {
        if stream.replyEnded { return }
        writeHeaders(
            stream.id,
            stream.call?.encoding == .gzip ? HeaderBlock.gzipHead : HeaderBlock.wireHead,
            endStream: false
        )
    }

    func sendData(_ stream: HTTP2Stream, _ bytes: ByteBuffer, promise: EventLoopPromise<Void>?) {
        if stream.replyEnded {
            promise?.succeed()
            return
        }
        enqueue(stream, .data(bytes, promise, endStream: false))
        pump()
    }

    /// Sends bytes that begin a message, and those of its rest.
    func sendData(_ stream: HTTP2Stream, _ head: ByteBuffer, _ rest: ByteBuffer, promise: EventLoopPromise<Void>?) {
        if stream.replyEnded {
            promise?.succeed()
            return
        }
        enqueue(stream, .data(head, nil, endStream: false))
        enqueue(stream, .data(rest, promise, endStream: false))
        pump()
    }

    func sendEnd(_ stream: HTTP2Stream, headSent: Bool, _ status: CallStatus) {
        if stream.replyEnded { return }
        if !headSent { return refuse(stream, status) }
        let block =
            status.code == 0 ? HeaderBlock.okTrailers : HeaderBlock.trailers(status.code, status.encodedMessage)
        if stream.queue.isEmpty {
            writeHeaders(stream.id, block, endStream: true)
            replyDidEnd(stream)
        } else {
            enqueue(stream, .trailers(block))
        }
    }

    /// Ends a call before its reply has begun: head and status in one frame.
    func refuse(_ stream: HTTP2Stream, _ status: CallStatus) {
        let block =
            HeaderBlock.wireHead + HeaderBlock.trailers(status.code, String(status.encodedMessage.prefix(4_096)))
        writeHeaders(stream.id, block, endStream: true)
        replyDidEnd(stream)
    }

    func sendPlain(
        _ stream: HTTP2Stream,
        status: Int,
        contentType: String,
        challenge: String? = nil,
        headOnly: Bool = false,
        _ body: ByteBuffer
    ) {
        if stream.replyEnded { return }
        var block = HeaderBlock.plain(
            status,
            contentType: contentType,
            length: body.readableBytes,
            allowedOrigin: stream.allowedOrigin
        )
        if let challenge { block += HeaderBlock.literal("www-authenticate", challenge) }
        // What needs no window does not wait for one.
        if headOnly || body.readableBytes == 0 {
            writeHeaders(stream.id, block, endStream: true)
            return replyDidEnd(stream)
        }
        writeHeaders(stream.id, block, endStream: false)
        enqueue(stream, .data(body, nil, endStream: true))
        pump()
    }

    func sendJSONHead(_ stream: HTTP2Stream) {
        if stream.replyEnded { return }
        writeHeaders(
            stream.id,
            HeaderBlock.plain(200, contentType: "application/json", length: nil, allowedOrigin: stream.allowedOrigin),
            endStream: false
        )
    }

    func sendDataEnd(_ stream: HTTP2Stream) {
        if stream.replyEnded { return }
        enqueue(stream, .data(ByteBuffer(), nil, endStream: true))
        pump()
    }

    // MARK: - Flow control

    private var mayWriteData: Bool {
        out.readableBytes < Self.roundBytes && (context?.channel.isWritable ?? false)
    }

    private func enqueue(_ stream: HTTP2Stream, _ item: HTTP2Stream.Outbound) {
        if case .data(let bytes, _, _) = item {
            stream.queuedBytes += bytes.readableBytes + Self.itemBytes
            queuedBytes += bytes.readableBytes + Self.itemBytes
        }
        stream.queue.append(item)
        enlist(stream)
    }

    /// Gives the stream a turn.
    func enlist(_ stream: HTTP2Stream) {
        if stream.isInPumpList { return }
        stream.isInPumpList = true
        if stream.isUrgent { urgent.append(stream) } else { bulk.append(stream) }
    }

    /// Sends what windows and socket allow.
    func pump() {
        if isPumping { return }
        isPumping = true
        while true {
            // A round that is whole goes at once, so that the next round finds its memory in the processor's cache: rounds of many
            // connections that waited for each other came to tens of megabytes.
            if out.readableBytes >= Self.roundBytes { flush() }
            guard mayWriteData, let stream = nextInTurn() else { break }
            stream.isInPumpList = false
            // A stream without room is given its turn again when its window opens.
            if sendOne(stream), !stream.queue.isEmpty { enlist(stream) }
        }
        isPumping = false
        if out.readableBytes > 0 { loopContext.needsFlush(self) }
        beginWaitingLists()
        if sent.isEmpty { return }
        let done = sent
        sent = []
        for promise in done { promise.succeed() }
    }

    /// Whether some stream has a turn.
    private var hasTurns: Bool {
        !(urgent.isEmpty && bulk.isEmpty) || sendWindow > 0 && !(blockedUrgent.isEmpty && blockedBulk.isEmpty)
    }

    /// Whose frame is next: of a kind, those that have waited for the connection's window before others.
    private func nextInTurn() -> HTTP2Stream? {
        func urgentOne() -> HTTP2Stream? {
            (sendWindow > 0 ? blockedUrgent.popFirst() : nil) ?? urgent.popFirst()
        }
        func other() -> HTTP2Stream? { (sendWindow > 0 ? blockedBulk.popFirst() : nil) ?? bulk.popFirst() }
        // Watches come first, and must not keep others from being answered at all.
        if urgentInTurn < Self.urgentAtOnce, let stream = urgentOne() {
            urgentInTurn += 1
            return stream
        }
        urgentInTurn = 0
        return other() ?? urgentOne()
    }

    /// The stream waits for the connection's window, and keeps its place in the turn.
    private func block(_ stream: HTTP2Stream) {
        stream.isInPumpList = true
        // Those that were reset meanwhile wait for nothing.
        let most = 2 * streams.count + 64
        if stream.isUrgent {
            blockedUrgent.append(stream)
            if blockedUrgent.count > most { blockedUrgent.removeAll { $0.replyEnded } }
        } else {
            blockedBulk.append(stream)
            if blockedBulk.count > most { blockedBulk.removeAll { $0.replyEnded } }
        }
    }

    /// Begins lists that have waited for what came before them to be sent.
    func beginWaitingLists() {
        loopContext.beginWaitingLists(self)
    }

    /// Sends the stream's next frame; false when it has no room.
    private func sendOne(_ stream: HTTP2Stream) -> Bool {
        guard let item = stream.queue.first else { return false }
        switch item {
        case .trailers(let block):
            stream.queue.removeFirst()
            writeHeaders(stream.id, block, endStream: true)
            replyDidEnd(stream)
            return false
        case .data(let bytes, _, _):
            let room = min(stream.sendWindow, sendWindow, HTTP2Frame.maximumPayload)
            if bytes.readableBytes > 0 && room <= 0 {
                if stream.sendWindow > 0 { block(stream) }
                return false
            }
            // Windows may be below nothing, since the client may take back what it has given (RFC 9113, 6.9.2).
            var piece = take(from: stream, atMost: max(0, room))
            var rest: ByteBuffer?
            // What begins a message goes with what comes after it.
            if piece.isWhole && !piece.ends && piece.length < room, case .data? = stream.queue.first {
                let more = take(from: stream, atMost: room - piece.length)
                rest = more.bytes
                piece.length += more.length
                piece.ends = more.ends
            }
            topUp(stream)
            topUp()
            out.writeFrameHead(
                HTTP2Frame.Kind.data,
                flags: piece.ends ? HTTP2Frame.Flag.endStream : 0,
                stream: stream.id,
                length: piece.length
            )
            out.writeBuffer(&piece.bytes)
            if rest != nil { out.writeBuffer(&rest!) }
            if piece.ends { replyDidEnd(stream) }
            return !piece.ends
        }
    }

    /// Takes what a frame can carry of the data that the stream's queue begins with.
    private func take(
        from stream: HTTP2Stream,
        atMost room: Int
    ) -> (bytes: ByteBuffer, length: Int, isWhole: Bool, ends: Bool) {
        guard case .data(var bytes, let promise, let endStream)? = stream.queue.first else {
            preconditionFailure("only data is taken piece by piece")
        }
        let length = min(room, bytes.readableBytes)
        let isWhole = length == bytes.readableBytes
        stream.sendWindow -= length
        sendWindow -= length
        let freed = length + (isWhole ? Self.itemBytes : 0)
        stream.queuedBytes -= freed
        queuedBytes -= freed
        let slice = bytes.readSlice(length: length)!
        if isWhole {
            stream.queue.removeFirst()
            if let promise { sent.append(promise) }
        } else {
            stream.queue[0] = .data(bytes, promise, endStream: endStream)
        }
        return (slice, length, isWhole, isWhole && endStream)
    }
}
