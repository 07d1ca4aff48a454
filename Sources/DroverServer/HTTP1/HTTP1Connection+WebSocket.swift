import NIOCore
import NIOHTTP1
import NIOWebSocket

/// From a request of HTTP/1.1 to a WebSocket.
extension HTTP1Connection {
    /// Answers the handshake and puts a WebSocket in the place of HTTP's codec.
    func beginWebSocket(_ head: HTTPRequestHead, _ context: ChannelHandlerContext) {
        let upgrader = NIOWebSocketServerUpgrader(
            automaticErrorHandling: false,
            shouldUpgrade: { channel, head in
                channel.eventLoop.makeSucceededFuture(WebSocketBridge.responseHeaders(head))
            },
            upgradePipelineHandler: { channel, _ in channel.eventLoop.makeSucceededVoidFuture() }
        )
        let built = upgrader.buildUpgradeResponse(
            channel: context.channel,
            upgradeRequest: head,
            initialResponseHeaders: [:]
        )
        built.assumeIsolated().whenComplete { result in
            guard let context = self.context else { return }
            guard case .success(let headers) = result else {
                let refusal = ByteBuffer(string: "drover: the WebSocket's handshake is not one of RFC 6455\n")
                return self.sendPlain(status: 400, contentType: "text/plain; charset=utf-8", refusal)
            }
            self.isChanging = true
            let answer = HTTPResponseHead(version: .http1_1, status: .switchingProtocols, headers: headers)
            context.write(self.wrapOutboundOut(.head(answer)), promise: nil)
            context.writeAndFlush(self.wrapOutboundOut(.end(nil)), promise: nil)
            self.becomeWebSocket(WebSocketBridge.request(head), context)
        }
    }

    private func becomeWebSocket(_ request: HTTPRequestHead, _ context: ChannelHandlerContext) {
        let pipeline = context.pipeline.syncOperations
        let removed = codec.map { handler in
            let promise = context.eventLoop.makePromise(of: Void.self)
            pipeline.removeHandler(handler, promise: promise)
            return promise.futureResult
        }
        codec = []
        EventLoopFuture.andAllSucceed(removed, on: context.eventLoop).assumeIsolated().whenComplete { _ in
            guard let context = self.context else { return }
            let most = self.longestDocument
            do {
                let pipeline = context.pipeline.syncOperations
                let bridge = WebSocketBridge()
                try pipeline.addHandlers(
                    [
                        WebSocketFrameEncoder(),
                        ByteToMessageHandler(
                            WebSocketFrameDecoder(maxFrameSize: most),
                            maximumBufferSize: most + 64 << 10
                        ), WebSocketProtocolErrorHandler(isServer: true), bridge,
                    ],
                    position: .before(self)
                )
                self.isChanging = false
                try pipeline.context(handler: bridge).fireChannelRead(NIOAny(HTTPServerRequestPart.head(request)))
            } catch {
                context.close(promise: nil)
            }
        }
    }
}
