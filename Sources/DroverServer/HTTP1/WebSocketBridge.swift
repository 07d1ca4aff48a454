import NIOCore
import NIOHTTP1
import NIOWebSocket

/// Between a WebSocket and the gateway's streams: what the client sends are the documents of a request's body, and each line
/// of the reply is a message. Source: RFC 6455; etcd `server/embed/serve.go`, which puts the same before its gateway.
final class WebSocketBridge: ChannelDuplexHandler {
    typealias InboundIn = WebSocketFrame
    typealias InboundOut = HTTPServerRequestPart
    typealias OutboundIn = HTTPServerResponsePart
    typealias OutboundOut = WebSocketFrame

    private static let newline = UInt8(ascii: "\n")
    /// Whether a message has begun and is not over.
    private var isInMessage = false
    private var isClosing = false
    /// Whether pings of the present read were answered, which leave together.
    private var owesFlush = false

    /// Whether a request asks for a WebSocket.
    static func isAsked(_ head: HTTPRequestHead) -> Bool {
        func names(_ word: String, in header: String) -> Bool {
            head.headers[canonicalForm: header].contains { $0.lowercased() == word }
        }
        return head.method == .GET && names("websocket", in: "upgrade") && names("upgrade", in: "connection")
    }

    /// The request that a WebSocket stands for. A browser, which can set no header, names its token as a protocol.
    static func request(_ head: HTTPRequestHead) -> HTTPRequestHead {
        var request = HTTPRequestHead(version: .http1_1, method: .POST, uri: head.uri)
        for name in ["host", "origin", "authorization", "grpc-metadata-token", "grpc-metadata-authorization"] {
            if let value = head.headers[name].first { request.headers.add(name: name, value: value) }
        }
        if let token = protocolToken(head) {
            request.headers.replaceOrAdd(name: "authorization", value: "Bearer \(token)")
        }
        return request
    }

    /// What the handshake's answer holds besides.
    static func responseHeaders(_ head: HTTPRequestHead) -> HTTPHeaders {
        protocolToken(head) == nil ? [:] : ["sec-websocket-protocol": "Bearer"]
    }

    private static func protocolToken(_ head: HTTPRequestHead) -> String? {
        let protocols = head.headers[canonicalForm: "sec-websocket-protocol"].map(String.init)
        guard protocols.count == 2, protocols[0] == "Bearer", !protocols[1].isEmpty else { return nil }
        return protocols[1]
    }

    func channelRead(context: ChannelHandlerContext, data: NIOAny) {
        if isClosing { return }
        let frame = unwrapInboundIn(data)
        // Clients mask what they send (RFC 6455, 5.1).
        guard frame.maskKey != nil || frame.length == 0 else { return close(context, .protocolError) }
        switch frame.opcode {
        case .text, .binary, .continuation:
            context.fireChannelRead(wrapInboundOut(.body(frame.unmaskedData)))
        case .ping:
            let pong = WebSocketFrame(fin: true, opcode: .pong, data: frame.unmaskedData)
            context.write(wrapOutboundOut(pong), promise: nil)
            owesFlush = true
        case .pong: break
        case .connectionClose: close(context, .normalClosure)
        default: close(context, .protocolError)
        }
    }

    func channelReadComplete(context: ChannelHandlerContext) {
        if owesFlush { context.flush() }
        owesFlush = false
        context.fireChannelReadComplete()
    }

    func write(context: ChannelHandlerContext, data: NIOAny, promise: EventLoopPromise<Void>?) {
        if isClosing {
            promise?.succeed()
            return
        }
        switch unwrapOutboundIn(data) {
        case .head: promise?.succeed()
        case .body(.byteBuffer(var bytes)):
            let isLast = bytes.readableBytesView.last == Self.newline
            if isLast { bytes.moveWriterIndex(to: bytes.writerIndex - 1) }
            context.write(wrapOutboundOut(frame(bytes, isLast: isLast)), promise: promise)
        case .body: promise?.succeed()
        case .end:
            if isInMessage { context.write(wrapOutboundOut(frame(ByteBuffer(), isLast: true)), promise: nil) }
            close(context, .normalClosure, promise)
        }
    }

    private func frame(_ bytes: ByteBuffer, isLast: Bool) -> WebSocketFrame {
        defer { isInMessage = !isLast }
        return WebSocketFrame(fin: isLast, opcode: isInMessage ? .continuation : .text, data: bytes)
    }

    /// - Parameter promise: fulfilled when the other side has been sent it.
    private func close(
        _ context: ChannelHandlerContext,
        _ code: WebSocketErrorCode,
        _ promise: EventLoopPromise<Void>? = nil
    ) {
        if isClosing { return }
        isClosing = true
        var bytes = ByteBuffer()
        bytes.write(webSocketErrorCode: code)
        let channel = context.channel
        context.writeAndFlush(wrapOutboundOut(WebSocketFrame(fin: true, opcode: .connectionClose, data: bytes)))
            .whenComplete { result in
                promise?.completeWith(result)
                channel.close(promise: nil)
            }
    }
}
