import DequeModule
import Drover
import EtcdAPI
import Logging
import NIOCore
import NIOHPACK
import NIOHTTP2

/// A connection of HTTP/2, handled on frames: no child channel, task or allocation of ours per call but its stream.
final class HTTP2Connection: ChannelInboundHandler, ServerConnection {
    typealias InboundIn = HTTP2Frame
    typealias OutboundOut = HTTP2Frame

    let loopContext: LoopContext
    private let limits: ServerLimits
    private var context: ChannelHandlerContext!
    private(set) var allocator = ByteBufferAllocator()
    private var streams: [HTTP2StreamID: ServerStream] = [:]
    /// Requests that are not for a route: plain paths and refused ones, until their stream is closed.
    private var plainRequests: [HTTP2StreamID: PlainRequest] = [:]
    var isInFlushList = false
    private var unacknowledgedBytes = 0
    private var bufferedRequestBytes = 0
    private var unreadReplyBytes = 0
    private var hasDeadlines = false
    /// Streams that were answered before their request ended, with the time at which they are reset.
    private var lingering: Deque<(HTTP2StreamID, NIODeadline)> = []
    private var isClosing = false
    private var highestStream = HTTP2StreamID.rootStream

    init(_ loopContext: LoopContext) {
        self.loopContext = loopContext
        limits = loopContext.configuration.limits
    }

    // MARK: - Life

    func handlerAdded(context: ChannelHandlerContext) {
        self.context = context
        allocator = context.channel.allocator
        loopContext.add(self)
        // The connection's window is 64 KiB until it is raised; only streams have a setting for theirs.
        let increment = limits.connectionWindowBytes - 65_535
        write(.init(streamID: .rootStream, payload: .windowUpdate(windowSizeIncrement: increment)))
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
        plainRequests = [:]
        for stream in open { stream.cancelled() }
    }

    func errorCaught(context: ChannelHandlerContext, error: any Error) {
        // A stream's error has been answered with a reset by the handler below. Any other leaves the connection in a
        // state that would answer every further frame with another GOAWAY.
        if error is NIOHTTP2Errors.StreamError { return }
        loopContext.configuration.logger.debug(
            "a connection was closed for an error",
            metadata: ["reason": "\(error)"]
        )
        context.flush()
        context.close(promise: nil)
    }

    // MARK: - Frames in

    func channelRead(context: ChannelHandlerContext, data: NIOAny) {
        let frame = unwrapInboundIn(data)
        switch frame.payload {
        case .headers(let headers): receive(frame.streamID, headers)
        case .data(let data): receive(frame.streamID, data)
        case .rstStream: streams[frame.streamID]?.cancelled()
        default: break
        }
    }

    func channelReadComplete(context: ChannelHandlerContext) {
        if unacknowledgedBytes >= limits.connectionWindowBytes / 2 {
            let increment = unacknowledgedBytes
            unacknowledgedBytes = 0
            write(.init(streamID: .rootStream, payload: .windowUpdate(windowSizeIncrement: increment)))
        }
        loopContext.submit()
        loopContext.flush()
        context.fireChannelReadComplete()
    }

    func userInboundEventTriggered(context: ChannelHandlerContext, event: Any) {
        if let closed = event as? StreamClosedEvent {
            plainRequests[closed.streamID] = nil
            if let stream = streams.removeValue(forKey: closed.streamID) {
                unreadReplyBytes -= stream.replyBytes
                bufferedRequestBytes -= stream.inbound?.readableBytes ?? 0
                stream.cancelled()
            }
            if isClosing && streams.isEmpty && plainRequests.isEmpty { context.close(promise: nil) }
        }
        context.fireUserInboundEventTriggered(event)
    }

    private func receive(_ id: HTTP2StreamID, _ headers: HTTP2Frame.FramePayload.Headers) {
        if let stream = streams[id] {
            // Trailers of the request.
            if headers.endStream { endRequest(stream) }
            return
        }
        if plainRequests[id] != nil { return }
        highestStream = id
        let head = RequestHead(headers.headers)
        if head.isWire {
            begin(id, head, endStream: headers.endStream)
        } else {
            beginPlain(id, head, endStream: headers.endStream)
        }
    }

    private func begin(_ id: HTTP2StreamID, _ head: RequestHead, endStream: Bool) {
        guard head.method == "POST", let route = Route.wire(head.path) else {
            return sendTrailersOnly(id, Self.unknown(head.path), requestEnded: endStream)
        }
        if let encoding = head.encoding, encoding != "identity" {
            return sendTrailersOnly(
                id,
                CallStatus(code: 12, message: "drover: message encoding is not supported; send messages uncompressed"),
                requestEnded: endStream
            )
        }
        if unreadReplyBytes > limits.unreadReplyBytes {
            return sendTrailersOnly(id, CallStatus(DroverError(.tooManyRequests)), requestEnded: endStream)
        }
        let stream = ServerStream(route, .wire, .http2(self, id: id), loopContext)
        streams[id] = stream
        if let timeout = head.timeout, !route.streamsReplies {
            stream.deadline = .now() + timeout
            hasDeadlines = true
        }
        Dispatcher.begin(stream)
        if endStream { endRequest(stream) }
    }

    /// What the wire form's reference server says of paths that it does not know.
    private static func unknown(_ path: String) -> CallStatus {
        let parts = path.dropFirst().split(separator: "/", maxSplits: 1)
        guard parts.count == 2 else {
            return CallStatus(code: 12, message: "malformed method name: \"\(path.prefix(200))\"")
        }
        let service = parts[0]
        let known = Route.allCases.contains { $0.serviceAndMethod.service == service }
        return known
            ? CallStatus(code: 12, message: "unknown method \(parts[1].prefix(100)) for service \(service)")
            : CallStatus(code: 12, message: "unknown service \(service.prefix(100))")
    }

    private func receive(_ id: HTTP2StreamID, _ data: HTTP2Frame.FramePayload.Data) {
        guard case .byteBuffer(let bytes) = data.data else { return }
        let length = bytes.readableBytes + (data.paddingBytes.map { $0 + 1 } ?? 0)
        unacknowledgedBytes += length
        guard let stream = streams[id] else {
            if let plain = plainRequests[id] { receivePlain(id, plain, bytes, endStream: data.endStream) }
            return
        }
        if stream.ended { return }
        stream.unacknowledgedBytes += length
        if !data.endStream && stream.unacknowledgedBytes >= limits.streamWindowBytes / 2 {
            let increment = stream.unacknowledgedBytes
            stream.unacknowledgedBytes = 0
            write(.init(streamID: id, payload: .windowUpdate(windowSizeIncrement: increment)))
        }
        if stream.form == .json {
            receiveJSON(stream, bytes)
        } else {
            assemble(stream, bytes)
        }
        if data.endStream { endRequest(stream) }
    }

    /// Cuts the stream's bytes into messages. Mostly one frame holds one whole message, which is not copied.
    private func assemble(_ stream: ServerStream, _ bytes: ByteBuffer) {
        var bytes = bytes
        if var pending = stream.inbound {
            stream.inbound = nil
            bufferedRequestBytes -= pending.readableBytes
            pending.writeBuffer(&bytes)
            bytes = pending
        }
        while !stream.ended, bytes.readableBytes >= MessageBuffer.prefixBytes {
            let flag: UInt8 = bytes.getInteger(at: bytes.readerIndex)!
            let length = Int(bytes.getInteger(at: bytes.readerIndex + 1, as: UInt32.self)!)
            if flag != 0 {
                stream.fail(
                    CallStatus(
                        code: 12,
                        message: "drover: message encoding is not supported; send messages uncompressed"
                    )
                )
                return
            }
            let most = limits.requestBytes + limits.requestSlackBytes
            if length > most {
                stream.fail(
                    CallStatus(code: 8, message: "grpc: received message larger than max (\(length) vs. \(most))")
                )
                return
            }
            guard bytes.readableBytes >= MessageBuffer.prefixBytes + length else { break }
            bytes.moveReaderIndex(forwardBy: MessageBuffer.prefixBytes)
            let message = bytes.readSlice(length: length)!
            if stream.dispatched {
                stream.fail(CallStatus(code: 13, message: "drover: a call with one request was sent two"))
                return
            }
            Dispatcher.message(stream, message)
        }
        if bytes.readableBytes > 0 && !stream.ended {
            if bufferedRequestBytes + bytes.readableBytes > limits.bufferedRequestBytes {
                return stream.fail(DroverError(.tooManyRequests))
            }
            bufferedRequestBytes += bytes.readableBytes
            // A copy with room: a slice would keep the socket's buffer, and grow by copying every time.
            var pending = allocator.buffer(capacity: max(bytes.readableBytes * 2, 1_024))
            pending.writeBuffer(&bytes)
            stream.inbound = pending
        }
    }

    private func endRequest(_ stream: ServerStream) {
        if stream.requestEnded { return }
        stream.requestEnded = true
        if stream.ended { return }
        if stream.form == .json { return endJSON(stream) }
        if let session = stream.session {
            session.requestEnded()
        } else if !stream.dispatched {
            stream.fail(CallStatus(code: 13, message: "drover: the request ended without a message"))
        }
    }

    // MARK: - JSON and plain paths

    private func beginPlain(_ id: HTTP2StreamID, _ head: RequestHead, endStream: Bool) {
        if head.method == "POST", let route = Route.gateway(head.pathWithoutQuery) {
            let stream = ServerStream(route, .json, .http2(self, id: id), loopContext)
            streams[id] = stream
            Dispatcher.begin(stream)
            if endStream { endRequest(stream) }
            return
        }
        let request = PlainRequest(method: head.method, target: head.path)
        plainRequests[id] = request
        if endStream { answer(id, request) }
    }

    private func receivePlain(_ id: HTTP2StreamID, _ plain: PlainRequest, _ bytes: ByteBuffer, endStream: Bool) {
        // No plain path takes a body: it is dropped.
        if endStream && !plain.isRefused { answer(id, plain) }
    }

    private func answer(_ id: HTTP2StreamID, _ request: PlainRequest) {
        PlainRoutes.answer(request, loopContext) { reply in
            self.sendPlain(id, status: reply.status, contentType: reply.contentType, reply.body)
            self.loopContext.flush()
        }
    }

    private func receiveJSON(_ stream: ServerStream, _ bytes: ByteBuffer) {
        GatewayRequest.receive(stream, bytes, limits)
    }

    private func endJSON(_ stream: ServerStream) {
        GatewayRequest.end(stream)
    }

    // MARK: - Frames out

    private static let wireHead: HPACKHeaders = [":status": "200", "content-type": "application/grpc"]
    private static let okTrailers: HPACKHeaders = ["grpc-status": "0", "grpc-message": ""]

    private func write(_ frame: HTTP2Frame, promise: EventLoopPromise<Void>? = nil) {
        guard let context else {
            promise?.fail(ChannelError.ioOnClosedChannel)
            return
        }
        context.write(wrapOutboundOut(frame), promise: promise)
        loopContext.needsFlush(self)
    }

    func flush() {
        context?.flush()
    }

    func sendUnary(_ stream: ServerStream, _ id: HTTP2StreamID, _ message: ByteBuffer) {
        guard streams[id] != nil else { return }
        stream.replyBytes = message.readableBytes
        unreadReplyBytes += message.readableBytes
        write(.init(streamID: id, payload: .headers(.init(headers: Self.wireHead))))
        write(.init(streamID: id, payload: .data(.init(data: .byteBuffer(message)))))
        write(.init(streamID: id, payload: .headers(.init(headers: Self.okTrailers, endStream: true))))
        if !stream.requestEnded { resetAfterReply(id) }
    }

    func sendHead(_ id: HTTP2StreamID) {
        guard streams[id] != nil else { return }
        write(.init(streamID: id, payload: .headers(.init(headers: Self.wireHead))))
    }

    func sendData(_ id: HTTP2StreamID, _ bytes: ByteBuffer, promise: EventLoopPromise<Void>?) {
        guard streams[id] != nil else {
            promise?.succeed()
            return
        }
        write(.init(streamID: id, payload: .data(.init(data: .byteBuffer(bytes)))), promise: promise)
    }

    func sendEnd(_ stream: ServerStream, _ id: HTTP2StreamID, _ status: CallStatus) {
        guard streams[id] != nil else { return }
        if !stream.headSent { return sendTrailersOnly(id, status, requestEnded: stream.requestEnded) }
        let trailers: HPACKHeaders =
            status.code == 0
            ? Self.okTrailers : ["grpc-status": "\(status.code)", "grpc-message": status.encodedMessage]
        write(.init(streamID: id, payload: .headers(.init(headers: trailers, endStream: true))))
        if !stream.requestEnded { resetAfterReply(id) }
    }

    private func sendTrailersOnly(_ id: HTTP2StreamID, _ status: CallStatus, requestEnded: Bool) {
        var headers = Self.wireHead
        headers.add(name: "grpc-status", value: "\(status.code)")
        headers.add(name: "grpc-message", value: status.encodedMessage, indexing: .nonIndexable)
        if status.code == 12 { headers.add(name: "grpc-accept-encoding", value: "identity") }
        write(.init(streamID: id, payload: .headers(.init(headers: headers, endStream: true))))
        if !requestEnded {
            if streams[id] == nil { plainRequests[id] = .refused }
            resetAfterReply(id)
        }
    }

    // The reply is whole, but the client may go on sending: it is told not to (RFC 9113, 8.1). Not at once: a reset
    // overtakes data that waits for its window, and mostly the end of the request is on its way already.
    private func resetAfterReply(_ id: HTTP2StreamID) {
        lingering.append((id, .now() + .seconds(1)))
    }

    private func resetLingering(_ now: NIODeadline) {
        while let (id, deadline) = lingering.first, deadline <= now {
            lingering.removeFirst()
            if streams[id] != nil || plainRequests[id] != nil {
                write(.init(streamID: id, payload: .rstStream(.noError)))
            }
        }
    }

    func sendPlain(_ id: HTTP2StreamID, status: Int, contentType: String, _ body: ByteBuffer) {
        guard streams[id] != nil || plainRequests[id] != nil else { return }
        let headers: HPACKHeaders = [
            ":status": "\(status)", "content-type": contentType, "content-length": "\(body.readableBytes)",
        ]
        write(.init(streamID: id, payload: .headers(.init(headers: headers))))
        write(.init(streamID: id, payload: .data(.init(data: .byteBuffer(body), endStream: true))))
    }

    func sendJSONHead(_ id: HTTP2StreamID) {
        write(
            .init(
                streamID: id,
                payload: .headers(.init(headers: [":status": "200", "content-type": "application/json"]))
            )
        )
    }

    func sendDataEnd(_ id: HTTP2StreamID) {
        guard streams[id] != nil else { return }
        write(.init(streamID: id, payload: .data(.init(data: .byteBuffer(ByteBuffer()), endStream: true))))
    }

    // MARK: - ServerConnection

    func expire(_ now: NIODeadline) {
        resetLingering(now)
        if !hasDeadlines { return }
        var left = false
        for stream in streams.values where stream.deadline != .distantFuture && !stream.ended {
            if stream.deadline <= now {
                stream.fail(CallStatus(code: 4, message: "context deadline exceeded"))
            } else {
                left = true
            }
        }
        hasDeadlines = left
    }

    func shutDownGracefully() {
        guard let context, !isClosing else { return }
        isClosing = true
        write(
            .init(
                streamID: .rootStream,
                payload: .goAway(lastStreamID: highestStream, errorCode: .noError, opaqueData: nil)
            )
        )
        for stream in streams.values where stream.route.streamsReplies {
            stream.fail(DroverError(.stopped))
        }
        context.flush()
        if streams.isEmpty && plainRequests.isEmpty { context.close(promise: nil) }
    }

    func close() {
        context?.close(promise: nil)
    }
}
