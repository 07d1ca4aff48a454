import DroverClient
import NIOCore
import NIOPosix
import Testing

@Suite("a client of a server that is none", .timeLimit(.minutes(1)))
struct ClientPrefaceTests {
    private final class Saying: ChannelInboundHandler, Sendable {
        typealias InboundIn = ByteBuffer
        typealias OutboundOut = ByteBuffer

        private let text: String

        init(_ text: String) { self.text = text }

        func channelActive(context: ChannelHandlerContext) {
            context.writeAndFlush(wrapOutboundOut(ByteBuffer(string: text)), promise: nil)
        }
    }

    @Test(
        "it is given up when nothing comes, or something that is no HTTP/2",
        arguments: ["", "-ERR unknown command\r\n", "220 mail.example ESMTP\r\n"]
    )
    func strangers(text: String) async throws {
        let group = MultiThreadedEventLoopGroup.singleton
        let server = try await ServerBootstrap(group: group)
            .childChannelInitializer { channel in channel.pipeline.addHandler(Saying(text)) }
            .bind(host: "127.0.0.1", port: 0).get()
        let port = try #require(server.localAddress?.port)
        let endpoint = try Endpoint("127.0.0.1:\(port)")
        let begun = ContinuousClock.now
        await #expect(throws: ClientError.self) {
            let connection = try await EtcdConnection.connect(to: endpoint, tls: nil, timeout: .seconds(1))
            _ = try await connection.unary("/etcdserverpb.KV/Range", [0x0a, 1, 0x61])
        }
        #expect(begun.duration(to: .now) < .seconds(10))
        try await server.close()
    }
}
