import Drover
import Logging
import NIOCore

/// Says aloud that connections cannot be accepted, as when the process has no file descriptor left for one, which the pause
/// that follows would hide.
final class AcceptFaults: ChannelInboundHandler, Sendable {
    typealias InboundIn = any Channel

    private let logger: Logger
    private let throttle: LogThrottle

    init(_ logger: Logger, _ throttle: LogThrottle) {
        self.logger = logger
        self.throttle = throttle
    }

    func errorCaught(context: ChannelHandlerContext, error: any Error) {
        if let count = throttle.admit() {
            logger.error(
                "connections cannot be accepted; raise the limit on open files, or close some",
                metadata: ["reason": "\(error)", "since the last line": "\(count)"]
            )
        }
        context.fireErrorCaught(error)
    }
}
