import Foundation
import NIOCore
import NIOPosix
import Synchronization

/// A TCP proxy on loopback before a database server. It knows where the protocol's messages end, and passes them on until it
/// is told to cut a connection between two of them, or to lose what it carries.
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

    /// A cut that is to come.
    private struct Cut {
        var direction: Direction
        /// What the client of the connection says first; messages are counted from there on.
        var mark: [UInt8]
        var connection: Int?
        /// Messages of that direction that are still passed on.
        var left: Int
    }

    private struct State {
        var cut: Cut?
        var cuts = 0
        var mark: (bytes: [UInt8], fate: Fate)?
        /// Connections whose next answer is cut off, and those that lose everything.
        var doomed: Set<Int> = []
        var lost: Set<Int> = []
        /// Whether PostgreSQL's notifications are lost, and how many were.
        var losesNotifications = false
        /// Whether every connection is cut that says anything.
        var isDown = false
        var notificationsLost = 0
        /// Flights of each connection's client: what it says until it is answered.
        var sent: [Int: Int] = [:]
        /// Connections whose clients have said something and not been answered since.
        var flying: Set<Int> = []
    }

    fileprivate enum Verdict { case pass, cut, swallow }

    private let state = Mutex(State())
    private let channel: any Channel
    public let port: Int

    /// - Parameters:
    ///   - target: the server's port.
    ///   - engine: whose protocol it speaks, in cleartext.
    public init(to target: Int, _ engine: Engine) async throws {
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
                            try client.pipeline.syncOperations.addHandler(
                                ProxyHandler(server, .toServer, id, engine, shared)
                            )
                            try server.pipeline.syncOperations.addHandler(
                                ProxyHandler(client, .toClient, id, engine, shared)
                            )
                        }
                    }
            }
            .bind(host: "127.0.0.1", port: 0).get()
        port = channel.localAddress!.port!
        shared.judge = { [self] in judge($0, $1, $2) }
        shared.hasSpoken = { [self] in note($0, $1) }
    }

    /// Cuts the next connection whose client says `mark`, which counts, after `messages` more messages of a direction.
    public func cut(_ direction: Direction, after messages: Int, from mark: String) {
        state.withLock { $0.cut = Cut(direction: direction, mark: Array(mark.utf8), left: messages) }
    }

    /// Cuts every connection whose client says anything, until it is told to pass all on.
    public func cutAll() { state.withLock { $0.isDown = true } }

    /// Cuts nothing any more.
    public func pass() {
        state.withLock {
            $0.cut = nil
            $0.isDown = false
        }
    }

    /// The next connection whose client sends `text` meets that fate.
    public func when(_ text: String, _ fate: Fate) {
        state.withLock { $0.mark = (Array(text.utf8), fate) }
    }

    /// From now on no notification of PostgreSQL's reaches a client.
    public func loseNotifications() { state.withLock { $0.losesNotifications = true } }

    /// Notifications that were lost.
    public var notificationsLost: Int { state.withLock { $0.notificationsLost } }

    /// Connections that were cut.
    public var cuts: Int { state.withLock { $0.cuts } }

    /// Connections that lose everything.
    public var lost: Int { state.withLock { $0.lost.count } }

    /// Flights that each connection's client has sent.
    public var sent: [Int: Int] { state.withLock { $0.sent } }

    private func note(_ direction: Direction, _ connection: Int) {
        state.withLock { state in
            if direction == .toClient {
                state.flying.remove(connection)
            } else if state.flying.insert(connection).inserted {
                state.sent[connection, default: 0] += 1
            }
        }
    }

    private func judge(_ direction: Direction, _ connection: Int, _ bytes: ByteBuffer) -> Verdict {
        state.withLock { state in
            if state.lost.contains(connection) { return .swallow }
            // Source: PostgreSQL's manual, "Message Formats": NotificationResponse.
            if direction == .toClient, state.losesNotifications, bytes.readableBytesView.first == UInt8(ascii: "A") {
                state.notificationsLost += 1
                return .swallow
            }
            if direction == .toServer {
                if state.isDown {
                    state.cuts += 1
                    return .cut
                }
                if let cut = state.cut, cut.connection == nil, Self.holds(bytes, cut.mark) {
                    state.cut!.connection = connection
                }
                if let mark = state.mark, Self.holds(bytes, mark.bytes) {
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
            guard let cut = state.cut, cut.connection == connection, cut.direction == direction else { return .pass }
            if cut.left > 0 {
                state.cut!.left -= 1
                return .pass
            }
            state.cut = nil
            state.cuts += 1
            return .cut
        }
    }

    private static func holds(_ bytes: ByteBuffer, _ mark: [UInt8]) -> Bool {
        Data(bytes.readableBytesView).range(of: Data(mark)) != nil
    }

    public func close() async { try? await channel.close() }
}

private final class ProxyShared: @unchecked Sendable {
    // Set once, before the first connection.
    var judge: @Sendable (CuttingProxy.Direction, Int, ByteBuffer) -> CuttingProxy.Verdict = { _, _, _ in .pass }
    var hasSpoken: @Sendable (CuttingProxy.Direction, Int) -> Void = { _, _ in }
}

private final class ProxyHandler: ChannelInboundHandler {
    typealias InboundIn = ByteBuffer

    private let other: any Channel
    private let direction: CuttingProxy.Direction
    private let connection: Int
    private let engine: Engine
    private let shared: ProxyShared
    private var pending = ByteBuffer()
    /// PostgreSQL's first message has no kind.
    private var isFirst = true

    init(
        _ other: any Channel,
        _ direction: CuttingProxy.Direction,
        _ connection: Int,
        _ engine: Engine,
        _ shared: ProxyShared
    ) {
        self.other = other
        self.direction = direction
        self.connection = connection
        self.engine = engine
        self.shared = shared
    }

    func channelRead(context: ChannelHandlerContext, data: NIOAny) {
        var bytes = unwrapInboundIn(data)
        shared.hasSpoken(direction, connection)
        pending.writeBuffer(&bytes)
        var passed = context.channel.allocator.buffer(capacity: pending.readableBytes)
        var isCut = false
        while !isCut, var message = nextMessage() {
            switch shared.judge(direction, connection, message) {
            case .pass: passed.writeBuffer(&message)
            case .swallow: break
            case .cut: isCut = true
            }
        }
        pending.discardReadBytes()
        guard isCut else { return other.writeAndFlush(passed, promise: nil) }
        pending.clear()
        let both = [other, context.channel]
        other.writeAndFlush(passed).whenComplete { _ in
            for channel in both { channel.close(promise: nil) }
        }
    }

    /// Source: the protocols' manuals: PostgreSQL "Message Formats", MariaDB "0-packet".
    private func nextMessage() -> ByteBuffer? {
        let at = pending.readerIndex
        let length: Int
        if engine == .mariadb {
            guard let three = pending.getBytes(at: at, length: 3) else { return nil }
            length = 4 + Int(three[0]) + Int(three[1]) << 8 + Int(three[2]) << 16
        } else {
            let kind = isFirst && direction == .toServer ? 0 : 1
            guard let own = pending.getInteger(at: at + kind, as: UInt32.self) else { return nil }
            length = kind + Int(own)
        }
        guard let message = pending.readSlice(length: length) else { return nil }
        isFirst = false
        return message
    }

    func channelInactive(context: ChannelHandlerContext) { other.close(promise: nil) }
    func errorCaught(context: ChannelHandlerContext, error: any Error) { context.close(promise: nil) }
}
