import NIOCore
import NIOHTTP2

/// Closes a connection whose server does not say that it speaks HTTP/2: one that accepts and never ends the TLS handshake,
/// says nothing, or something else. Stands behind the handler of HTTP/2.
///
/// A server's first frame is its SETTINGS, and it need not wait for anything of the client's. Source: RFC 9113, 3.4.
final class PrefaceTimeoutHandler: ChannelInboundHandler {
    typealias InboundIn = HTTP2Frame
    typealias InboundOut = HTTP2Frame

    private let timeout: TimeAmount
    /// Kept once the server has said its first word; fails with the connection.
    private let greeted: EventLoopPromise<Void>
    private var closing: Scheduled<Void>?
    private var isGreeted = false

    init(_ timeout: TimeAmount, _ greeted: EventLoopPromise<Void>) {
        self.timeout = timeout
        self.greeted = greeted
    }

    func channelActive(context: ChannelHandlerContext) {
        let channel = context.channel
        if !isGreeted { closing = context.eventLoop.scheduleTask(in: timeout) { channel.close(promise: nil) } }
        context.fireChannelActive()
    }

    func channelRead(context: ChannelHandlerContext, data: NIOAny) {
        if !isGreeted, case .settings = unwrapInboundIn(data).payload {
            isGreeted = true
            stop()
            greeted.succeed()
        }
        context.fireChannelRead(data)
    }

    /// What is no HTTP/2 is no frame either, and nothing else would come of it.
    func errorCaught(context: ChannelHandlerContext, error: any Error) {
        if !isGreeted {
            greeted.fail(error)
            context.close(promise: nil)
        }
        context.fireErrorCaught(error)
    }

    func channelInactive(context: ChannelHandlerContext) {
        stop()
        greeted.fail(
            ClientError.unavailable(
                "the server closes connections, or says nothing, before it has said that it speaks HTTP/2"
            )
        )
        context.fireChannelInactive()
    }

    func handlerRemoved(context: ChannelHandlerContext) {
        stop()
        greeted.fail(ClientError.unavailable("the connection was closed"))
    }

    private func stop() {
        closing?.cancel()
        closing = nil
    }
}
