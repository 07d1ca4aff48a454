import DequeModule
import Drover
import EtcdAPI
import NIOCore

/// From requests to calls: heads, messages, ends and deadlines.
extension HTTP2Connection {
    func receive(
        _ id: UInt32,
        _ head: RequestHead,
        endStream: Bool
    ) throws(HTTP2Frame.ErrorCode) {
        if let stream = streams[id] {
            // Trailers of the request.
            if endStream { return endRequest(stream) }
            return try resetForFault(stream, .protocolError)
        }
        // Trailers of a stream that was reset meanwhile.
        if id <= highestStream { return }
        highestStream = id
        if isClosing { return writeReset(id, .refusedStream) }
        if streams.count >= Int(limits.streamsPerConnection) { return writeReset(id, .refusedStream) }
        if head.isMalformed || head.path.isEmpty || head.method.isEmpty {
            if guardian.exceeds(.reset, limits) { throw .enhanceYourCalm }
            return writeReset(id, .protocolError)
        }
        let stream = HTTP2Stream(id, sendWindow: initialSendWindow, receiveWindow: limits.streamWindowBytes)
        streams[id] = stream
        if head.isWire { begin(stream, head) } else { beginPlain(stream, head) }
        if endStream { endRequest(stream) }
    }

    func begin(_ stream: HTTP2Stream, _ head: RequestHead) {
        guard head.method == "POST", !listener.servesMetricsOnly, let route = Route.wire(head.path) else {
            return refuse(stream, Self.unknown(head.path))
        }
        if case .other = head.encoding { return refuse(stream, Self.unknownEncoding) }
        if head.hasMalformedTimeout { return refuse(stream, Self.malformedTimeout) }
        if queuedBytes > limits.unreadReplyBytes { return refuse(stream, CallStatus(DroverError(.tooManyRequests))) }
        let call = ServerStream(route, .wire, .http2(self, stream), loopContext)
        call.token = head.token
        call.encoding = head.encoding
        stream.call = call
        stream.isUrgent = route.isUrgent
        if let timeout = head.timeout {
            call.deadline = .now() + timeout
            hasDeadlines = true
        }
        Dispatcher.begin(call)
    }

    private static let unknownEncoding = CallStatus(
        code: 12,
        message: "drover: the message encoding is not supported; send messages as they are, or in gzip"
    )
    private static let notEncoded = CallStatus(
        code: 13,
        message: "drover: a message is marked as compressed, and the call names no encoding"
    )
    private static let damaged = CallStatus(code: 13, message: "drover: a compressed message is damaged")
    private static let malformedTimeout = CallStatus(
        code: 13,
        message: "malformed grpc-timeout: up to eight digits and a unit are expected"
    )

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

    func beginPlain(_ stream: HTTP2Stream, _ head: RequestHead) {
        stream.allowedOrigin = loopContext.access.allowedOrigin(head.origin)
        if !loopContext.access.admits(host: head.authority, isEncrypted: listener.isEncrypted == true) {
            stream.plain = PlainRequest.misdirected(head.method)
        } else if head.method == "POST", !listener.servesMetricsOnly,
            let route = Route.gateway(head.pathWithoutQuery)
        {
            let call = ServerStream(route, .json, .http2(self, stream), loopContext)
            call.token = head.token
            stream.call = call
            stream.isUrgent = route.isUrgent
            if let timeout = head.timeout {
                call.deadline = .now() + timeout
                hasDeadlines = true
            }
            if queuedBytes > limits.unreadReplyBytes { return call.fail(DroverError(.tooManyRequests)) }
            if head.hasMalformedTimeout { return call.fail(GatewayRequest.malformedTimeout) }
            Dispatcher.begin(call)
        } else {
            stream.plain = PlainRequest(method: head.method, target: head.path)
        }
    }

    /// Cuts the call's bytes into messages. Mostly one frame holds one whole message, which is not copied.
    func assemble(_ call: ServerStream, _ payload: ByteBuffer) {
        var bytes = payload
        // Taken out, since a buffer that two hold would be copied with every frame.
        let isPending = call.inbound != nil
        if var pending = call.inbound {
            call.inbound = nil
            pending.discardTaken()
            pending.writeBuffer(&bytes)
            bytes = pending
        }
        while !call.ended, bytes.readableBytes >= MessageBuffer.prefixBytes {
            let flag: UInt8 = bytes.getInteger(at: bytes.readerIndex)!
            let length = Int(bytes.getInteger(at: bytes.readerIndex + 1, as: UInt32.self)!)
            if flag > 1 || flag == 1 && call.encoding != .gzip { return call.fail(Self.notEncoded) }
            let most = limits.requestBytes + limits.requestSlackBytes
            if length > most {
                return call.fail(
                    CallStatus(code: 8, message: "grpc: received message larger than max (\(length) vs. \(most))")
                )
            }
            guard bytes.readableBytes >= MessageBuffer.prefixBytes + length else { break }
            bytes.moveReaderIndex(forwardBy: MessageBuffer.prefixBytes)
            var message = bytes.readSlice(length: length)!
            if flag == 1 {
                switch MessageEncoding.inflated(message, limit: most, allocator) {
                case .message(let plain): message = plain
                case .damaged: return call.fail(Self.damaged)
                case .tooLong:
                    return call.fail(
                        CallStatus(
                            code: 8,
                            message: "grpc: received message after decompression larger than max \(most)"
                        )
                    )
                }
            }
            if queuedBytes > 2 * limits.unreadReplyBytes {
                // Those that are being answered already were sent before the client could be held up.
                return call.fail(DroverError(.tooManyRequests))
            }
            if call.dispatched {
                return call.fail(CallStatus(code: 13, message: "drover: a call with one request was sent two"))
            }
            Dispatcher.message(call, message)
        }
        if case .http2(_, let stream) = call.transport, stream.claimedBytes > 0 || bytes.readableBytes > 0 {
            let arrived = bytes.readableBytes
            let length = bytes.getInteger(at: bytes.readerIndex + 1, as: UInt32.self).map(Int.init) ?? 0
            let message = length + MessageBuffer.prefixBytes
            // Another message than the one that was let in.
            if stream.claimedBytes > 0 && (message != stream.claimedBytes || arrived == 0) { givesRoomBack(stream) }
            if arrived > 0 && !call.ended { wantsRoom(stream, message: message, arrived: arrived) }
        }
        if bytes.readableBytes > 0 && !call.ended {
            if bufferedRequestBytes + bytes.readableBytes > limits.usableBufferedRequestBytes {
                return call.fail(DroverError(.tooManyRequests))
            }
            if isPending {
                call.inbound = bytes
                return
            }
            // A slice of the socket's buffer would keep all of it alive.
            var pending = allocator.buffer(capacity: max(bytes.readableBytes * 2, 1_024))
            pending.writeBuffer(&bytes)
            call.inbound = pending
        }
    }

    func endRequest(_ stream: HTTP2Stream) {
        if stream.requestEnded { return }
        stream.requestEnded = true
        givesRoomBack(stream)
        if stream.replyEnded {
            streams[stream.id] = nil
            return closeIfDone()
        }
        if let plain = stream.plain {
            return PlainRoutes.answer(plain, loopContext, listener) { reply in
                self.sendPlain(
                    stream,
                    status: reply.status,
                    contentType: reply.contentType,
                    headOnly: plain.isHead,
                    reply.body
                )
                self.loopContext.flush()
            }
        }
        guard let call = stream.call, !call.ended else { return }
        call.requestEnded = true
        if call.form == .json { return GatewayRequest.end(call) }
        if let session = call.session {
            session.requestEnded()
        } else if !call.dispatched {
            call.fail(CallStatus(code: 13, message: "drover: the request ended without a message"))
        }
    }

    /// A frame that ends the reply is out.
    func replyDidEnd(_ stream: HTTP2Stream) {
        stream.replyEnded = true
        stream.call = nil
        if stream.requestEnded {
            streams[stream.id] = nil
            closeIfDone()
        } else {
            // The client may go on sending and is told not to (RFC 9113, 8.1), but not at once: mostly the end of the
            // request is on its way already.
            lingering.append((stream.id, .now() + .seconds(1)))
        }
    }

    /// Ends a stream for its client's fault. What it had begun may go on for a while, so these count as the client's own
    /// resets do: they are as cheap to bring about.
    func resetForFault(_ stream: HTTP2Stream, _ code: HTTP2Frame.ErrorCode) throws(HTTP2Frame.ErrorCode) {
        if guardian.exceeds(.reset, limits) { throw .enhanceYourCalm }
        reset(stream, code)
    }

    func reset(_ stream: HTTP2Stream, _ code: HTTP2Frame.ErrorCode) {
        writeReset(stream.id, code)
        streams[stream.id] = nil
        drop(stream)
        beginWaitingLists()
        closeIfDone()
    }

    /// Closes when no call is left and all replies are with the socket.
    func closeIfDone() {
        guard isClosing, !isEnding, streams.isEmpty else { return }
        flush()
        // Where the socket takes no more now, this is called again when it does.
        guard let context, out.readableBytes == 0 else { return }
        isEnding = true
        context.writeAndFlush(wrapOutboundOut(ByteBuffer())).assumeIsolated().whenComplete { _ in
            self.context?.close(promise: nil)
        }
    }

    // MARK: - ServerConnection

    func expire(_ now: NIODeadline) {
        if !sawSettings, greetingDeadline <= now { return close() }
        while let (id, deadline) = lingering.first, deadline <= now {
            lingering.removeFirst()
            if let stream = streams[id] { reset(stream, .noError) }
        }
        expireRoom(now)
        if !hasDeadlines { return }
        var left = false
        for stream in streams.values {
            guard let call = stream.call, call.deadline != .distantFuture, !call.ended else { continue }
            if call.deadline <= now {
                call.fail(CallStatus(code: 4, message: "context deadline exceeded"))
            } else {
                left = true
            }
        }
        hasDeadlines = left
    }

    func shutDownGracefully() {
        guard !isClosing else { return }
        isClosing = true
        writeGoAway(.noError, lastStream: highestStream)
        for stream in streams.values {
            if let call = stream.call, call.route.streamsReplies { call.fail(DroverError(.stopped)) }
        }
        flush()
        closeIfDone()
    }

    func close() {
        context?.close(promise: nil)
    }
}
