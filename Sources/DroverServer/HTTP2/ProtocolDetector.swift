import NIOCore
import NIOHTTP1

/// Tells HTTP/2 by prior knowledge from HTTP/1.1 by a connection's first bytes, however few come at a time.
final class ProtocolDetector: ChannelInboundHandler, RemovableChannelHandler {
    typealias InboundIn = ByteBuffer
    typealias InboundOut = ByteBuffer

    /// The beginning of HTTP/2's preface; no method of HTTP/1.1 begins so.
    private static let preface = Array(HTTP2Frame.preface.prefix(4))

    private let loopContext: LoopContext
    private let listener: ServerConfiguration.Listener
    private var pending: ByteBuffer?
    private var timeout: Scheduled<Void>?
    private var isDecided = false

    init(_ loopContext: LoopContext, _ listener: ServerConfiguration.Listener) {
        self.loopContext = loopContext
        self.listener = listener
    }

    func channelActive(context: ChannelHandlerContext) {
        arm(context)
        context.fireChannelActive()
    }

    func handlerAdded(context: ChannelHandlerContext) {
        if context.channel.isActive { arm(context) }
    }

    private func arm(_ context: ChannelHandlerContext) {
        if timeout != nil { return }
        let channel = context.channel
        timeout = context.eventLoop.scheduleTask(
            in: .seconds(loopContext.configuration.limits.greetingSeconds)
        ) { channel.close(promise: nil) }
    }

    func channelInactive(context: ChannelHandlerContext) {
        timeout?.cancel()
        context.fireChannelInactive()
    }

    func channelRead(context: ChannelHandlerContext, data: NIOAny) {
        var bytes = unwrapInboundIn(data)
        if isDecided {
            context.fireChannelRead(data)
            return
        }
        if var held = pending {
            held.writeBuffer(&bytes)
            bytes = held
            pending = nil
        }
        let seen = bytes.readableBytesView.prefix(Self.preface.count)
        if seen.elementsEqual(Self.preface.prefix(seen.count)) && seen.count < Self.preface.count {
            pending = bytes
            return
        }
        isDecided = true
        timeout?.cancel()
        do {
            try install(context, isHTTP2: seen.elementsEqual(Self.preface))
        } catch {
            context.close(promise: nil)
            return
        }
        context.fireChannelRead(wrapInboundOut(bytes))
        context.pipeline.syncOperations.removeHandler(self, promise: nil)
    }

    private func install(_ context: ChannelHandlerContext, isHTTP2: Bool) throws {
        let pipeline = context.pipeline.syncOperations
        if isHTTP2 {
            try pipeline.addHandler(HTTP2Connection(loopContext, listener))
        } else {
            // As NIO sets it up, but for the bound on what the decoder keeps and does not read.
            let decoder = HTTPRequestDecoder(leftOverBytesStrategy: .dropBytes)
            let codec: [any ChannelHandler & RemovableChannelHandler] = [
                HTTPResponseEncoder(),
                ByteToMessageHandler(decoder, maximumBufferSize: 256 << 10),
                HTTPServerPipelineHandler(),
                NIOHTTPResponseHeadersValidator(),
                HTTPServerProtocolErrorHandler(),
            ]
            let connection = HTTP1Connection(loopContext, listener)
            connection.codec = codec
            for handler in codec { try pipeline.addHandler(handler) }
            try pipeline.addHandler(connection)
        }
    }
}
