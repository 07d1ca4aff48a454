import Foundation
import NIOCore
import NIOPosix
import Synchronization

/// A TCP proxy on loopback that passes bytes on until it is told to cut a connection, or to lose what it carries.
public final class CuttingProxy: Sendable {
    public enum Direction: Sendable, CaseIterable {
        /// What the client has sent: the server never sees it.
        case toServer
        /// What the server has answered: it has done its part, the client never hears of it.
        case toClient
    }

    /// What happens to the connection whose client sends certain bytes.
    public enum Fate: Sendable {
        /// They reach the server; its answer is cut off.
        case cutAnswer
        /// They and all that follows are lost, both ways, as on a network that drops packets; nobody is told.
        case lose
    }

    private struct State {
        var direction = Direction.toServer
        /// Messages of that direction that are still passed on; nil passes everything.
        var left: Int?
        var cuts = 0
        var mark: (bytes: [UInt8], fate: Fate)?
        /// Connections whose next answer is cut off, and those that lose everything.
        var doomed: Set<Int> = []
        var lost: Set<Int> = []
        /// Messages sent by each connection's client.
        var sent: [Int: Int] = [:]
    }

    fileprivate enum Verdict { case pass, cut, swallow }

    private let state = Mutex(State())
    private let channel: any Channel
    public let port: Int

    public init(to target: Int) async throws {
        let shared = ProxyShared()
        let counter = Atomic<Int>(0)
        channel = try await ServerBootstrap(group: MultiThreadedEventLoopGroup.singleton)
            .serverChannelOption(.socketOption(.so_reuseaddr), value: 1)
            .childChannelOption(.tcpOption(.tcp_nodelay), value: 1)
            .childChannelInitializer { client in
                let id = counter.add(1, ordering: .relaxed).newValue
                return ClientBootstrap(group: client.eventLoop)
                    .channelOption(.tcpOption(.tcp_nodelay), value: 1)
                    .connect(host: "127.0.0.1", port: target)
                    .flatMap { server in
                        client.eventLoop.makeCompletedFuture {
                            try client.pipeline.syncOperations.addHandler(ProxyHandler(server, .toServer, id, shared))
                            try server.pipeline.syncOperations.addHandler(ProxyHandler(client, .toClient, id, shared))
                        }
                    }
            }
            .bind(host: "127.0.0.1", port: 0).get()
        port = channel.localAddress!.port!
        shared.judge = { [self] in judge($0, $1, $2) }
    }

    /// Cuts the connection that carries the message after `messages` more of a direction, before it is passed on.
    public func cut(_ direction: Direction, after messages: Int) {
        state.withLock {
            $0.direction = direction
            $0.left = messages
        }
    }

    /// The next connection whose client sends `text` meets that fate.
    public func when(_ text: String, _ fate: Fate) {
        state.withLock { $0.mark = (Array(text.utf8), fate) }
    }

    /// Connections that were cut.
    public var cuts: Int { state.withLock { $0.cuts } }

    /// Connections that lose everything.
    public var lost: Int { state.withLock { $0.lost.count } }

    /// Messages that each connection's client has sent.
    public var sent: [Int: Int] { state.withLock { $0.sent } }

    private func judge(_ direction: Direction, _ connection: Int, _ bytes: ByteBuffer) -> Verdict {
        state.withLock { state in
            if state.lost.contains(connection) { return .swallow }
            if direction == .toServer {
                state.sent[connection, default: 0] += 1
                if let mark = state.mark, Data(bytes.readableBytesView).range(of: Data(mark.bytes)) != nil {
                    state.mark = nil
                    switch mark.fate {
                    case .cutAnswer: state.doomed.insert(connection)
                    case .lose:
                        state.lost.insert(connection)
                        return .swallow
                    }
                }
            } else if state.doomed.remove(connection) != nil {
                state.cuts += 1
                return .cut
            }
            guard let left = state.left, state.direction == direction else { return .pass }
            if left > 0 {
                state.left = left - 1
                return .pass
            }
            state.left = nil
            state.cuts += 1
            return .cut
        }
    }

    public func close() async { try? await channel.close() }
}

private final class ProxyShared: @unchecked Sendable {
    // Set once, before the first connection.
    var judge: @Sendable (CuttingProxy.Direction, Int, ByteBuffer) -> CuttingProxy.Verdict = { _, _, _ in .pass }
}

private final class ProxyHandler: ChannelInboundHandler {
    typealias InboundIn = ByteBuffer

    private let other: any Channel
    private let direction: CuttingProxy.Direction
    private let connection: Int
    private let shared: ProxyShared

    init(_ other: any Channel, _ direction: CuttingProxy.Direction, _ connection: Int, _ shared: ProxyShared) {
        self.other = other
        self.direction = direction
        self.connection = connection
        self.shared = shared
    }

    func channelRead(context: ChannelHandlerContext, data: NIOAny) {
        let bytes = unwrapInboundIn(data)
        switch shared.judge(direction, connection, bytes) {
        case .pass: other.writeAndFlush(bytes, promise: nil)
        case .swallow: break
        case .cut:
            context.close(promise: nil)
            other.close(promise: nil)
        }
    }

    func channelInactive(context: ChannelHandlerContext) { other.close(promise: nil) }
    func errorCaught(context: ChannelHandlerContext, error: any Error) { context.close(promise: nil) }
}
