import DequeModule
import Drover
import EtcdAPI
import NIOCore
import NIOHTTP1

/// A connection of HTTP/1.1: the gateway's JSON form and the plain paths. One request at a time, in order.
final class HTTP1Connection: ChannelInboundHandler, ServerConnection, ListConnection {
    typealias InboundIn = HTTPServerRequestPart
    typealias OutboundOut = HTTPServerResponsePart

    private let loopContext: LoopContext
    private let listener: ServerConfiguration.Listener
    private(set) var context: ChannelHandlerContext?
    /// What stands between bytes and parts of HTTP, to be taken away where the client goes over to a WebSocket.
    var codec: [any RemovableChannelHandler] = []
    /// A request for a WebSocket that is not whole yet.
    private var webSocket: HTTPRequestHead?
    /// Whether the codec is being changed: what comes meanwhile was sent before its time, and there is nothing to answer it
    /// with.
    var isChanging = false
    private(set) var allocator = ByteBufferAllocator()
    private var stream: ServerStream?
    /// Bytes of a reply that the socket has not taken yet.
    private(set) var queuedBytes = 0 {
        didSet { loopContext.listGate.queuedBytesChanged(by: queuedBytes - oldValue) }
    }
    var waitingLists: Deque<RangeStreamer> = []
    var listsReading = 0
    var hasListTurn = false
    let callCount = 1
    /// When a client that takes nothing of its reply is given up.
    private var unwritableDeadline = NIODeadline.distantFuture
    private var plain: PlainRequest?
    private var keepsAlive = true
    /// Whether the client takes a body of unknown length in chunks; else it ends with the connection.
    private var takesChunks = true
    private var allowedOrigin: String?
    private var isClosing = false
    /// How deep in reading it is: the end of a reply brings the next request of those that wait, within itself.
    private var depth = 0
    /// Whether a plain path's reply is being made.
    private var isAnswering = false
    /// Whether a reply's end waits until the client takes more: the next request comes with it.
    private var endWaits = false
    /// Replies whose end has been written and is not with the socket yet.
    private var endsInFlight = 0
    /// When the client has been waited for long enough.
    private var deadline = NIODeadline.distantFuture

    init(_ loopContext: LoopContext, _ listener: ServerConfiguration.Listener) {
        self.loopContext = loopContext
        self.listener = listener
    }

    private static let pieceBytes = 256 << 10

    /// Bytes of the longest message in JSON.
    var longestDocument: Int { GatewayRequest.longestDocument(limits) }

    private var limits: ServerLimits { loopContext.configuration.limits }

    private func waits(_ seconds: Int64) { deadline = .now() + .seconds(seconds) }

    func handlerAdded(context: ChannelHandlerContext) {
        self.context = context
        allocator = context.channel.allocator
        waits(limits.headSeconds)
        loopContext.add(self)
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
        loopContext.listGate.forget(self)
        stream?.cancelled()
        stream = nil
    }

    func errorCaught(context: ChannelHandlerContext, error: any Error) {
        context.close(promise: nil)
    }

    func channelRead(context: ChannelHandlerContext, data: NIOAny) {
        if isChanging { return context.close(promise: nil) }
        depth += 1
        defer { depth -= 1 }
        loopContext.revisionOfRead = nil
        switch unwrapInboundIn(data) {
        case .head(let head):
            // NIO's decoder reads nothing behind a request that would change the protocol, which none here does.
            keepsAlive = head.isKeepAlive && head.method != .CONNECT && !head.headers.contains(name: "upgrade")
            // RFC 9112, 6.1.
            takesChunks = head.version.major > 1 || head.version.minor >= 1
            if head.headers["expect"].contains(where: { $0.lowercased() == "100-continue" }) {
                context.writeAndFlush(
                    wrapOutboundOut(.head(.init(version: head.version, status: .continue))),
                    promise: nil
                )
            }
            waits(limits.bodySeconds)
            allowedOrigin = loopContext.access.allowedOrigin(head.headers["origin"].first)
            // The absolute form, as proxies are sent it, must be taken, and its host is the one that counts (RFC 9112, 3.2.2).
            let target = PlainRequest.relative(head.uri)
            let path = target.path.prefix { $0 != "?" }
            let host = target.host ?? head.headers["host"].first
            if !loopContext.access.admits(host: host, isEncrypted: listener.isEncrypted == true) {
                plain = PlainRequest.misdirected(head.method.rawValue)
            } else if head.method == .POST, !listener.servesMetricsOnly, let route = Route.gateway(String(path)) {
                let stream = ServerStream(route, .json, .http1(self), loopContext)
                // The gateway hands on what begins with its own name, and this one header.
                let tokens = ["grpc-metadata-token", "authorization", "grpc-metadata-authorization"]
                stream.token = tokens.lazy.compactMap { head.headers[$0].first }.first.map(RequestHead.token)
                self.stream = stream
                if let text = head.headers["grpc-timeout"].first {
                    guard let timeout = RequestHead.timeout(text, mostDigits: 19) else {
                        return stream.fail(GatewayRequest.malformedTimeout)
                    }
                    // The gateway takes none for no limit.
                    if timeout.nanoseconds > 0 { stream.deadline = .now() + timeout }
                }
                if route.streamsRequests { deadline = .distantFuture }
                Dispatcher.begin(stream)
            } else if WebSocketBridge.isAsked(head), !listener.servesMetricsOnly,
                Route.gateway(String(path))?.streamsRequests == true
            {
                webSocket = head
            } else {
                plain = PlainRequest(method: head.method.rawValue, target: target.path)
            }
        case .body(let bytes):
            if deadline != .distantFuture { waits(limits.bodySeconds) }
            if let stream, !stream.ended { GatewayRequest.receive(stream, bytes, limits) }
        case .end:
            // Where the reply is out already, the next request may be waited for.
            deadline = stream == nil && plain == nil ? .now() + .seconds(limits.idleSeconds) : .distantFuture
            if let stream {
                stream.requestEnded = true
                if !stream.ended { GatewayRequest.end(stream) }
            } else if let head = webSocket {
                webSocket = nil
                beginWebSocket(head, context)
            } else if let request = plain {
                plain = nil
                isAnswering = true
                PlainRoutes.answer(request, loopContext, listener) { reply in
                    self.sendPlain(
                        status: reply.status,
                        contentType: reply.contentType,
                        headOnly: request.isHead,
                        reply.body
                    )
                }
            }
        }
    }

    /// A client that does not take what it is sent is not read from: each of its messages may bring more.
    func channelWritabilityChanged(context: ChannelHandlerContext) {
        try? context.channel.syncOptions?.setOption(.autoRead, value: context.channel.isWritable)
        unwritableDeadline = context.channel.isWritable ? .distantFuture : .now() + .seconds(limits.idleSeconds)
        if context.channel.isWritable && endWaits { finishReply() }
        context.fireChannelWritabilityChanged()
    }

    func channelReadComplete(context: ChannelHandlerContext) {
        loopContext.revisionOfRead = nil
        loopContext.submit()
        loopContext.flush()
        context.fireChannelReadComplete()
    }

    // MARK: - Replies

    func sendPlain(
        status: Int,
        contentType: String,
        challenge: String? = nil,
        headOnly: Bool = false,
        _ body: ByteBuffer
    ) {
        guard let context else { return }
        var headers = HTTPHeaders()
        headers.add(name: "content-type", value: contentType)
        headers.add(name: "content-length", value: "\(body.readableBytes)")
        if !keepsAlive { headers.add(name: "connection", value: "close") }
        if let challenge { headers.add(name: "www-authenticate", value: challenge) }
        addAccess(to: &headers)
        let head = HTTPResponseHead(version: .http1_1, status: .init(statusCode: status), headers: headers)
        context.write(wrapOutboundOut(.head(head)), promise: nil)
        if !headOnly { write(body, context, nil) }
        endReply(context)
    }

    private func addAccess(to headers: inout HTTPHeaders) {
        guard let allowedOrigin else { return }
        headers.add(name: "access-control-allow-methods", value: AccessRules.methods)
        headers.add(name: "access-control-allow-origin", value: allowedOrigin)
        headers.add(name: "access-control-allow-headers", value: AccessRules.headers)
    }

    func sendJSONHead() {
        guard let context else { return }
        var headers: HTTPHeaders = ["content-type": "application/json"]
        if takesChunks {
            headers.add(name: "transfer-encoding", value: "chunked")
        } else {
            keepsAlive = false
        }
        if !keepsAlive { headers.add(name: "connection", value: "close") }
        addAccess(to: &headers)
        let head = HTTPResponseHead(version: takesChunks ? .http1_1 : .http1_0, status: .ok, headers: headers)
        context.write(wrapOutboundOut(.head(head)), promise: nil)
    }

    func sendData(_ bytes: ByteBuffer, promise: EventLoopPromise<Void>?) {
        guard let context else {
            promise?.succeed()
            return
        }
        write(bytes, context, promise)
    }

    /// Writes a part of a body, in pieces, so that it is seen whether a client takes some of it.
    private func write(_ bytes: ByteBuffer, _ context: ChannelHandlerContext, _ promise: EventLoopPromise<Void>?) {
        var rest = bytes
        repeat {
            let piece = rest.readSlice(length: min(rest.readableBytes, Self.pieceBytes))!
            let count = piece.readableBytes
            queuedBytes += count
            let last = rest.readableBytes == 0 ? promise : nil
            let written = last ?? context.eventLoop.makePromise(of: Void.self)
            written.futureResult.assumeIsolated().whenComplete { _ in
                self.queuedBytes -= count
                if self.unwritableDeadline != .distantFuture {
                    self.unwritableDeadline = .now() + .seconds(self.limits.idleSeconds)
                }
                self.loopContext.beginWaitingLists(self)
            }
            // Each flushed by itself: what is encrypted together is known to have left together.
            context.writeAndFlush(wrapOutboundOut(.body(.byteBuffer(piece))), promise: written)
        } while rest.readableBytes > 0
    }

    func sendDataEnd() {
        guard let context else { return }
        endReply(context)
    }

    private func endReply(_ context: ChannelHandlerContext) {
        stream = nil
        isAnswering = false
        waits(limits.idleSeconds)
        if depth > 1 {
            context.eventLoop.assumeIsolated().execute { self.finishReply() }
        } else {
            finishReply()
        }
    }

    private func finishReply() {
        guard let context else { return }
        endWaits = !context.channel.isWritable
        if endWaits { return context.flush() }
        let closes = !keepsAlive
        endsInFlight += 1
        context.writeAndFlush(wrapOutboundOut(.end(nil))).assumeIsolated().whenComplete { _ in
            self.endsInFlight -= 1
            if closes || self.isClosing && !self.isBusy { self.context?.close(promise: nil) }
        }
    }

    private var isBusy: Bool { stream != nil || plain != nil || isAnswering || endWaits || endsInFlight > 0 }

    // MARK: - ServerConnection

    /// Ends a request that does not come on, and a connection that nobody uses.
    func expire(_ now: NIODeadline) {
        if let stream, !stream.ended, stream.deadline <= now {
            stream.fail(CallStatus(code: 4, message: "context deadline exceeded"))
        }
        // Who watches may look away for long; a reply that ends is to be taken.
        if unwritableDeadline <= now, stream?.route.streamsReplies != true {
            context?.close(promise: nil)
            return
        }
        guard deadline <= now else { return }
        deadline = .distantFuture
        keepsAlive = false
        if let stream, !stream.headSent {
            stream.fail(CallStatus(code: 4, message: "drover: the rest of the request did not arrive in time"))
        } else {
            context?.close(promise: nil)
        }
    }

    func shutDownGracefully() {
        isClosing = true
        if !isBusy { context?.close(promise: nil) }
        if let stream, stream.route.streamsReplies { stream.fail(DroverError(.stopped)) }
    }

    func close() {
        context?.close(promise: nil)
    }
}
