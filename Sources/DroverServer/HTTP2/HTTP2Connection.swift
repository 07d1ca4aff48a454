import DequeModule
import Drover
import EtcdAPI
import Logging
import NIOCore

/// A connection of HTTP/2, from bytes to calls and back.
///
/// The protocol is spoken here rather than by a general library because it is the larger part of what a call costs:
/// see docs/performance.md. No child channel, task or future is made per call; frames are read where they lie in the
/// socket's buffer, replies are written into one buffer and flushed once a round. Source: RFC 9113.
final class HTTP2Connection: ChannelInboundHandler, ServerConnection, ListConnection {
    typealias InboundIn = ByteBuffer
    typealias OutboundOut = ByteBuffer

    let loopContext: LoopContext
    let listener: ServerConfiguration.Listener
    let limits: ServerLimits
    var context: ChannelHandlerContext?
    private(set) var allocator = ByteBufferAllocator()
    var streams: [UInt32: HTTP2Stream] = [:]
    var isInFlushList = false
    var isClosing = false
    /// Whether the connection closes with what has been written last.
    var isEnding = false

    // Inbound.
    private var pendingBytes: ByteBuffer?
    private var prefaceLeft = HTTP2Frame.preface.count
    private(set) var sawSettings = false
    /// When the client must have said the rest of its preface.
    let greetingDeadline: NIODeadline
    private var decoder = HPACKDecoder()
    var guardian = FloodGuard()
    var headerBlock: (stream: UInt32, flags: UInt8, bytes: [UInt8])?
    var receiveWindow: Int
    var unacknowledged = 0
    var bufferedRequestBytes = 0
    /// Bytes of long messages that are let in, and those that wait; see HTTP2Connection+Room.
    var claimedBytes = 0
    var waitingForRoom: Deque<HTTP2Stream> = []
    /// When one was let in, or came on.
    var roomMovedAt = NIODeadline.now()
    var highestStream: UInt32 = 0
    var hasDeadlines = false
    var lingering: Deque<(UInt32, NIODeadline)> = []

    // Outbound; see HTTP2Connection+Sending.
    private(set) lazy var watchBudget = WatchBudget(bytes: limits.connectionWatchBytes)
    var out = ByteBuffer()
    var sendWindow = 65_535
    var initialSendWindow = 65_535
    var urgent: Deque<HTTP2Stream> = []
    var bulk: Deque<HTTP2Stream> = []
    /// Streams that wait for the connection's window, in the order in which they will have it.
    var blockedUrgent: Deque<HTTP2Stream> = []
    var blockedBulk: Deque<HTTP2Stream> = []
    /// Frames of urgent streams since the last of another.
    var urgentInTurn = 0
    /// Whether the next header block must say that no compression table is used (RFC 7541, 4.2).
    var owesTableSize = false
    var sent: [EventLoopPromise<Void>] = []
    var queuedBytes = 0 {
        didSet { loopContext.listGate.queuedBytesChanged(by: queuedBytes - oldValue) }
    }
    var isPumping = false
    /// Whether frames are being read.
    private(set) var isReading = false

    // Lists; see ListGate.
    var waitingLists: Deque<RangeStreamer> = []
    var callCount: Int { streams.count }
    var listsReading = 0
    var hasListTurn = false

    init(_ loopContext: LoopContext, _ listener: ServerConfiguration.Listener) {
        self.loopContext = loopContext
        self.listener = listener
        limits = loopContext.configuration.limits
        receiveWindow = loopContext.configuration.limits.connectionWindowBytes
        greetingDeadline = .now() + .seconds(loopContext.configuration.limits.greetingSeconds)
    }

    /// The user that the client's certificate names, where certificates do.
    private(set) lazy var peerName: String? = {
        guard loopContext.configuration.tls?.authenticatesUsers == true, let context else { return nil }
        return PeerName.commonName(context.pipeline.syncOperations)
    }()

    // MARK: - Life

    func handlerAdded(context: ChannelHandlerContext) {
        self.context = context
        allocator = context.channel.allocator
        out = allocator.buffer(capacity: 16 << 10)
        loopContext.add(self)
        out.writeFrameHead(HTTP2Frame.Kind.settings, stream: 0, length: 18)
        out.writeMultipleIntegers(HTTP2Frame.Setting.maxConcurrentStreams, limits.streamsPerConnection)
        out.writeMultipleIntegers(HTTP2Frame.Setting.initialWindowSize, UInt32(limits.streamWindowBytes))
        out.writeMultipleIntegers(HTTP2Frame.Setting.maxHeaderListSize, UInt32(limits.headerBytes))
        // The connection's window is 64 KiB until it is raised; only streams have a setting for theirs.
        writeWindowUpdate(0, limits.connectionWindowBytes - 65_535)
    }

    func handlerRemoved(context: ChannelHandlerContext) {
        tearDown()
        self.context = nil
    }

    func channelInactive(context: ChannelHandlerContext) {
        tearDown()
        context.fireChannelInactive()
    }

    private func tearDown() {
        loopContext.remove(self)
        let open = streams.values
        streams = [:]
        urgent = []
        bulk = []
        blockedUrgent = []
        blockedBulk = []
        for stream in open { drop(stream) }
        loopContext.listGate.forget(self)
        beginWaitingLists()
    }

    /// Fails what waits in a stream's queue and tells its call that the client has gone.
    func drop(_ stream: HTTP2Stream) {
        stream.replyEnded = true
        queuedBytes -= stream.queuedBytes
        stream.queuedBytes = 0
        let queue = stream.queue
        stream.queue = []
        let call = stream.call
        stream.call = nil
        call?.inbound = nil
        call?.cancelled()
        for case .data(_, let promise?, _) in queue { promise.succeed() }
    }

    func errorCaught(context: ChannelHandlerContext, error: any Error) {
        loopContext.configuration.logger.debug(
            "a connection was closed for an error",
            metadata: ["reason": "\(error)"]
        )
        context.close(promise: nil)
    }

    /// Ends the connection for the client's fault.
    private func fail(_ code: HTTP2Frame.ErrorCode, _ reason: StaticString) {
        loopContext.configuration.logger.debug(
            "a connection was ended for its client's fault",
            metadata: ["reason": "\(reason)"]
        )
        writeGoAway(code, lastStream: highestStream)
        isClosing = true
        flush()
        context?.close(promise: nil)
    }

    func writeGoAway(_ code: HTTP2Frame.ErrorCode, lastStream: UInt32) {
        out.writeFrameHead(HTTP2Frame.Kind.goAway, stream: 0, length: 8)
        out.writeMultipleIntegers(lastStream, code.rawValue)
    }

    // MARK: - Bytes in

    func channelRead(context: ChannelHandlerContext, data: NIOAny) {
        // What comes now is for a connection that only sends its last bytes.
        if isEnding { return }
        // A write that fails reads, too.
        let wasReading = isReading
        isReading = true
        defer { isReading = wasReading }
        loopContext.revisionOfRead = nil
        var bytes = unwrapInboundIn(data)
        loopContext.metrics.receivedBytes.add(bytes.readableBytes, ordering: .relaxed)
        if var pending = pendingBytes {
            pendingBytes = nil
            pending.writeBuffer(&bytes)
            bytes = pending
        }
        if prefaceLeft > 0 && !takePreface(&bytes) { return }
        while bytes.readableBytes >= HTTP2Frame.headerBytes {
            let head = bytes.withUnsafeReadableBytes { HTTP2Frame.head($0) }
            if head.length > HTTP2Frame.maximumPayload { return fail(.frameSizeError, "a frame is too long") }
            guard bytes.readableBytes >= HTTP2Frame.headerBytes + head.length else { break }
            bytes.moveReaderIndex(forwardBy: HTTP2Frame.headerBytes)
            let payload = bytes.readSlice(length: head.length)!
            do {
                try receive(head, payload)
            } catch {
                return fail(error, "the protocol was broken")
            }
            if self.context == nil || isEnding { return }
        }
        if bytes.readableBytes > 0 {
            // A copy with room: a slice would keep the socket's buffer and be copied anyway with the next bytes.
            var pending = allocator.buffer(capacity: HTTP2Frame.maximumPayload + HTTP2Frame.headerBytes)
            pending.writeBuffer(&bytes)
            pendingBytes = pending
        }
    }

    /// Lets the client send more, unless it has left too much unread: each of its requests may bring a reply.
    func topUp() {
        guard unacknowledged >= limits.connectionWindowBytes / 2, queuedBytes <= limits.unreadReplyBytes else { return }
        writeWindowUpdate(0, unacknowledged)
        receiveWindow += unacknowledged
        unacknowledged = 0
    }

    /// The same for one stream.
    func topUp(_ stream: HTTP2Stream) {
        guard stream.unacknowledged >= limits.streamWindowBytes / 2, !stream.requestEnded,
            stream.claimedBytes == 0, !stream.waitsForRoom, stream.queuedBytes <= limits.unreadStreamBytes
        else { return }
        writeWindowUpdate(stream.id, stream.unacknowledged)
        stream.receiveWindow += stream.unacknowledged
        stream.unacknowledged = 0
    }

    private func takePreface(_ bytes: inout ByteBuffer) -> Bool {
        let seen = min(prefaceLeft, bytes.readableBytes)
        let start = HTTP2Frame.preface.count - prefaceLeft
        guard bytes.readableBytesView.prefix(seen).elementsEqual(HTTP2Frame.preface[start..<(start + seen)]) else {
            context?.close(promise: nil)
            return false
        }
        bytes.moveReaderIndex(forwardBy: seen)
        prefaceLeft -= seen
        return prefaceLeft == 0
    }

    func channelReadComplete(context: ChannelHandlerContext) {
        loopContext.revisionOfRead = nil
        topUp()
        loopContext.submit()
        if out.readableBytes > 0 { flush() }
        loopContext.flush()
        context.fireChannelReadComplete()
    }

    // MARK: - Frames in

    private func receive(_ head: HTTP2Frame.Head, _ payload: ByteBuffer) throws(HTTP2Frame.ErrorCode) {
        if !sawSettings {
            guard head.kind == HTTP2Frame.Kind.settings, !head.has(HTTP2Frame.Flag.ack) else { throw .protocolError }
            sawSettings = true
        }
        if let block = headerBlock {
            guard head.kind == HTTP2Frame.Kind.continuation, head.stream == block.stream else { throw .protocolError }
            return try receiveContinuation(head, payload)
        }
        switch head.kind {
        case HTTP2Frame.Kind.data: try receiveData(head, payload)
        case HTTP2Frame.Kind.headers: try receiveHeaders(head, payload)
        case HTTP2Frame.Kind.priority:
            guard head.stream != 0 else { throw .protocolError }
            guard head.length == 5 else { throw .frameSizeError }
            try countControl()
        case HTTP2Frame.Kind.reset:
            guard head.stream != 0, head.stream <= highestStream else { throw .protocolError }
            guard head.length == 4 else { throw .frameSizeError }
            if guardian.exceeds(.reset, limits) { throw .enhanceYourCalm }
            if let stream = streams.removeValue(forKey: head.stream) {
                drop(stream)
                // Lists that waited for it have nothing to wait for any more.
                beginWaitingLists()
            }
            closeIfDone()
        case HTTP2Frame.Kind.settings: try receiveSettings(head, payload)
        case HTTP2Frame.Kind.ping:
            guard head.stream == 0 else { throw .protocolError }
            guard head.length == 8 else { throw .frameSizeError }
            try countControl()
            if !head.has(HTTP2Frame.Flag.ack) {
                var echo = payload
                out.writeFrameHead(HTTP2Frame.Kind.ping, flags: HTTP2Frame.Flag.ack, stream: 0, length: 8)
                out.writeBuffer(&echo)
            }
        case HTTP2Frame.Kind.windowUpdate: try receiveWindowUpdate(head, payload)
        case HTTP2Frame.Kind.goAway, 10...255: break
        default: throw .protocolError
        }
    }

    func countControl() throws(HTTP2Frame.ErrorCode) {
        if guardian.exceeds(.control, limits) { throw .enhanceYourCalm }
    }

    private func receiveHeaders(_ head: HTTP2Frame.Head, _ payload: ByteBuffer) throws(HTTP2Frame.ErrorCode) {
        guard head.stream % 2 == 1 else { throw .protocolError }
        var payload = payload
        try removePadding(head, &payload)
        if head.has(HTTP2Frame.Flag.priority) {
            guard payload.readableBytes >= 5 else { throw .frameSizeError }
            payload.moveReaderIndex(forwardBy: 5)
        }
        if !head.has(HTTP2Frame.Flag.endHeaders) {
            headerBlock = (head.stream, head.flags, Array(payload.readableBytesView))
            return
        }
        let request: RequestHead
        do {
            request = try payload.withUnsafeReadableBytes { bytes in try decode(bytes) }
        } catch {
            throw .compressionError
        }
        try receive(head.stream, request, endStream: head.has(HTTP2Frame.Flag.endStream))
    }

    private func receiveContinuation(_ head: HTTP2Frame.Head, _ payload: ByteBuffer) throws(HTTP2Frame.ErrorCode) {
        headerBlock!.bytes += payload.readableBytesView
        guard headerBlock!.bytes.count <= limits.headerBytes else { throw .enhanceYourCalm }
        if payload.readableBytes == 0 && !head.has(HTTP2Frame.Flag.endHeaders) { try countControl() }
        guard head.has(HTTP2Frame.Flag.endHeaders), let block = headerBlock else { return }
        headerBlock = nil
        let request: RequestHead
        do {
            request = try block.bytes.withUnsafeBytes { bytes in try decode(bytes) }
        } catch {
            throw .compressionError
        }
        try receive(block.stream, request, endStream: block.flags & HTTP2Frame.Flag.endStream != 0)
    }

    private func decode(_ bytes: UnsafeRawBufferPointer) throws -> RequestHead {
        var request = RequestHead()
        try decoder.decode(bytes, into: &request)
        return request
    }

    private func removePadding(
        _ head: HTTP2Frame.Head,
        _ payload: inout ByteBuffer
    ) throws(HTTP2Frame.ErrorCode) {
        guard head.has(HTTP2Frame.Flag.padded) else { return }
        guard let padding: UInt8 = payload.readInteger(), Int(padding) <= payload.readableBytes else {
            throw .protocolError
        }
        payload.moveWriterIndex(to: payload.writerIndex - Int(padding))
    }

    private func receiveData(_ head: HTTP2Frame.Head, _ payload: ByteBuffer) throws(HTTP2Frame.ErrorCode) {
        guard head.stream != 0, head.stream <= highestStream else { throw .protocolError }
        receiveWindow -= head.length
        guard receiveWindow >= 0 else { throw .flowControlError }
        unacknowledged += head.length
        var payload = payload
        try removePadding(head, &payload)
        let ends = head.has(HTTP2Frame.Flag.endStream)
        if payload.readableBytes == 0 && !ends && guardian.exceeds(.empty, limits) { throw .enhanceYourCalm }
        guard let stream = streams[head.stream] else { return }
        if stream.requestEnded { return try resetForFault(stream, .streamClosed) }
        stream.receiveWindow -= head.length
        if stream.receiveWindow < 0 { return try resetForFault(stream, .flowControlError) }
        stream.unacknowledged += head.length
        if !ends { topUp(stream) }
        if let call = stream.call, !call.ended {
            if call.form == .json {
                GatewayRequest.receive(call, payload, limits)
            } else {
                assemble(call, payload)
            }
        }
        if ends { endRequest(stream) }
    }
}
