import Drover
import Logging
import NIOCore

/// Pauses where connections cannot be accepted, as when the process has no file descriptor left for one, and says so: the
/// system would tell of the same connection at once again, and keep the loop at nothing else.
final class AcceptFaults: ChannelInboundHandler, Sendable {
    typealias InboundIn = any Channel

    private static let pause = TimeAmount.seconds(1)
    private let logger: Logger
    private let throttle = LogThrottle()

    init(_ logger: Logger) { self.logger = logger }

    func errorCaught(context: ChannelHandlerContext, error: any Error) {
        guard error is IOError else { return context.fireErrorCaught(error) }
        if let count = throttle.admit() {
            logger.error(
                "connections cannot be accepted; raise the limit on open files, or close some",
                metadata: ["reason": "\(error)", "times since the last line": "\(count)"]
            )
        }
        let channel = context.channel
        channel.setOption(.autoRead, value: false).whenFailure { _ in }
        context.eventLoop.scheduleTask(in: Self.pause) {
            channel.setOption(.autoRead, value: true).whenFailure { _ in }
        }
    }
}
