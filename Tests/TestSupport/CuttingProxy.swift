import NIOCore
import NIOPosix
import Synchronization

/// A TCP proxy on loopback that passes bytes on until it is told to cut the connection after one of them.
public final class CuttingProxy: Sendable {
    public enum Direction: Sendable, CaseIterable {
        /// What the client has sent: the server never sees it.
        case toServer
        /// What the server has answered: it has done its part, the client never hears of it.
        case toClient
    }

    private struct State {
        var direction = Direction.toServer
        /// Messages of that direction that are still passed on; nil passes everything.
        var left: Int?
        var cuts = 0
        var isClosed = false
    }

    private let state = Mutex(State())
    private let channel: any Channel
    public let port: Int

    public init(to target: Int) async throws {
        let shared = ProxyShared()
        channel = try await ServerBootstrap(group: MultiThreadedEventLoopGroup.singleton)
            .serverChannelOption(.socketOption(.so_reuseaddr), value: 1)
            .childChannelOption(.tcpOption(.tcp_nodelay), value: 1)
            .childChannelInitializer { client in
                ClientBootstrap(group: client.eventLoop)
                    .channelOption(.tcpOption(.tcp_nodelay), value: 1)
                    .connect(host: "127.0.0.1", port: target)
                    .flatMap { server in
                        client.eventLoop.makeCompletedFuture {
                            try client.pipeline.syncOperations.addHandler(ProxyHandler(server, .toServer, shared))
                            try server.pipeline.syncOperations.addHandler(ProxyHandler(client, .toClient, shared))
                        }
                    }
            }
            .bind(host: "127.0.0.1", port: 0).get()
        port = channel.localAddress!.port!
        shared.admit = { [self] in admits($0) }
    }

    /// Cuts the connection that carries the message after `messages` more of a direction, before it is passed on.
    public func cut(_ direction: Direction, after messages: Int) {
        state.withLock {
            $0.direction = direction
            $0.left = messages
        }
    }

    /// Connections that were cut.
    public var cuts: Int { state.withLock { $0.cuts } }

    private func admits(_ direction: Direction) -> Bool {
        state.withLock { state in
            guard let left = state.left, state.direction == direction else { return true }
            if left > 0 {
                state.left = left - 1
                return true
            }
            state.left = nil
            state.cuts += 1
            return false
        }
    }

    public func close() async { try? await channel.close() }
}

private final class ProxyShared: @unchecked Sendable {
    // Set once, before the first connection.
    var admit: @Sendable (CuttingProxy.Direction) -> Bool = { _ in true }
}

private final class ProxyHandler: ChannelInboundHandler {
    typealias InboundIn = ByteBuffer

    private let other: any Channel
    private let direction: CuttingProxy.Direction
    private let shared: ProxyShared

    init(_ other: any Channel, _ direction: CuttingProxy.Direction, _ shared: ProxyShared) {
        self.other = other
        self.direction = direction
        self.shared = shared
    }

    func channelRead(context: ChannelHandlerContext, data: NIOAny) {
        guard shared.admit(direction) else {
            context.close(promise: nil)
            other.close(promise: nil)
            return
        }
        other.writeAndFlush(unwrapInboundIn(data), promise: nil)
    }

    func channelInactive(context: ChannelHandlerContext) { other.close(promise: nil) }
    func errorCaught(context: ChannelHandlerContext, error: any Error) { context.close(promise: nil) }
}
