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
    private var closing: Scheduled<Void>?
    private var isGreeted = false

    init(_ timeout: TimeAmount) {
        self.timeout = timeout
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
        }
        context.fireChannelRead(data)
    }

    /// What is no HTTP/2 is no frame either, and nothing else would come of it.
    func errorCaught(context: ChannelHandlerContext, error: any Error) {
        if !isGreeted { context.close(promise: nil) }
        context.fireErrorCaught(error)
    }

    func channelInactive(context: ChannelHandlerContext) {
        stop()
        context.fireChannelInactive()
    }

    func handlerRemoved(context: ChannelHandlerContext) { stop() }

    private func stop() {
        closing?.cancel()
        closing = nil
    }
}
