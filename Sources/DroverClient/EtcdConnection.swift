public import NIOCore
import NIOHPACK
import NIOHTTP2
public import NIOPosix
import NIOSSL
public import SwiftProtobuf

#if canImport(Glibc)
    import Glibc
#elseif canImport(Musl)
    import Musl
#endif

/// A connection to any server of etcd's API, in the wire form over HTTP/2.
///
/// Small on purpose: what the command line, the harness and the tests need. Calls may be made from any task.
public final class EtcdConnection: Sendable {
    private let channel: any Channel
    private let multiplexer: NIOHTTP2Handler.StreamMultiplexer
    private let authority: String
    private let scheme: String

    private init(
        channel: any Channel,
        multiplexer: NIOHTTP2Handler.StreamMultiplexer,
        authority: String,
        scheme: String
    ) {
        self.channel = channel
        self.multiplexer = multiplexer
        self.authority = authority
        self.scheme = scheme
    }

    /// Connects in cleartext.
    ///
    /// - Throws: ``ClientError`` with code 14 when nobody answers.
    public static func connect(
        host: String,
        port: Int,
        group: any EventLoopGroup = MultiThreadedEventLoopGroup.singleton
    ) async throws -> EtcdConnection {
        try await connect(
            to: Endpoint("http://\(host.contains(":") ? "[\(host)]" : host):\(port)"),
            tls: nil,
            group: group
        )
    }

    /// Connects.
    ///
    /// - Parameters:
    ///   - endpoint: where to.
    ///   - tls: how to encrypt; used when the endpoint's scheme says so, or says nothing.
    ///   - timeout: how long the connection may take; once more as long may pass until the server says its first word.
    ///     Default 5 s.
    /// - Throws: ``ClientError`` with code 14 when nobody answers, or none who speaks HTTP/2 (RFC 9113, 3.4), 3 when TLS has no usable files.
    public static func connect(
        to endpoint: Endpoint,
        tls: ClientTLS?,
        timeout: TimeAmount = .seconds(5),
        group: any EventLoopGroup = MultiThreadedEventLoopGroup.singleton
    ) async throws -> EtcdConnection {
        let encrypts = endpoint.isEncrypted ?? (tls != nil)
        let context = encrypts ? try (tls ?? ClientTLS()).context() : nil
        do {
            var bootstrap = ClientBootstrap(group: group).connectTimeout(timeout)
                .channelOption(.tcpOption(.tcp_nodelay), value: 1)
                .channelOption(.socketOption(.so_keepalive), value: 1)
            #if os(Linux)
                // A machine that is gone is noticed after eight seconds, though nothing is asked of it: as by etcdctl, whose
                // --keepalive-time is 2 s and whose --keepalive-timeout is 6. Source: tcp(7).
                for (option, value) in [
                    (TCP_KEEPIDLE, 2), (TCP_KEEPINTVL, 2), (TCP_KEEPCNT, 3), (TCP_USER_TIMEOUT, 8_000),
                ] {
                    bootstrap = bootstrap.channelOption(
                        .tcpOption(NIOBSDSocket.Option(rawValue: CInt(option))),
                        value: ChannelOptions.Types.SocketOption.Value(value)
                    )
                }
            #endif
            typealias Made = (any Channel, NIOHTTP2Handler.StreamMultiplexer, EventLoopFuture<Void>)
            let made: @Sendable (any Channel) -> EventLoopFuture<Made> = { channel in
                channel.eventLoop.makeCompletedFuture {
                    if let context {
                        let handler = try NIOSSLClientHandler(context: context, serverHostname: endpoint.serverName)
                        try channel.pipeline.syncOperations.addHandler(handler)
                    }
                    let multiplexer = try configure(channel)
                    let greeted = channel.eventLoop.makePromise(of: Void.self)
                    do {
                        try channel.pipeline.syncOperations.addHandler(PrefaceTimeoutHandler(timeout, greeted))
                    } catch {
                        greeted.fail(error)
                        throw error
                    }
                    return (channel, multiplexer, greeted.futureResult)
                }
            }
            let (channel, multiplexer, greeted) =
                endpoint.isUnixSocket
                ? try await ClientBootstrap(group: group).connectTimeout(timeout)
                    .connect(unixDomainSocketPath: endpoint.host, channelInitializer: made)
                : try await bootstrap.connect(host: endpoint.host, port: endpoint.port, channelInitializer: made)
            // Who takes connections and does nothing more has not answered: others may be asked.
            try await greeted.get()
            return EtcdConnection(
                channel: channel,
                multiplexer: multiplexer,
                authority: endpoint.authority,
                scheme: encrypts ? "https" : "http"
            )
        } catch {
            throw ClientError.unavailable("cannot connect to \(endpoint): \(error)")
        }
    }

    private static func configure(_ channel: any Channel) throws -> NIOHTTP2Handler.StreamMultiplexer {
        var connection = NIOHTTP2Handler.ConnectionConfiguration()
        connection.initialSettings = [
            HTTP2Setting(parameter: .enablePush, value: 0),
            HTTP2Setting(parameter: .maxConcurrentStreams, value: 0x7fff_ffff),
            HTTP2Setting(parameter: .initialWindowSize, value: 4 << 20),
        ]
        connection.targetWindowSize = 16 << 20
        connection.controlFrameRateLimit.maximumCount = 10_000
        connection.controlFrameRateLimit.windowLength = .milliseconds(100)
        var stream = NIOHTTP2Handler.StreamConfiguration()
        stream.targetWindowSize = 4 << 20
        stream.streamResetFrameRateLimit.maximumCount = 10_000
        stream.streamResetFrameRateLimit.windowLength = .milliseconds(100)
        let configuration = NIOHTTP2Handler.Configuration(connection: connection, stream: stream)
        return try channel.pipeline.syncOperations.configureHTTP2Pipeline(
            mode: .client,
            connectionConfiguration: configuration.connection,
            streamConfiguration: configuration.stream
        ) { stream in stream.close() }
    }

    /// Closes the connection; calls in flight fail.
    public func close() async {
        try? await channel.close()
    }

    /// Whether the connection is still there.
    public var isActive: Bool { channel.isActive }

    /// Opens a call that may carry any number of messages either way.
    ///
    /// - Parameters:
    ///   - path: such as `/etcdserverpb.Watch/Watch`.
    ///   - metadata: further headers, such as `hasleader`.
    public func open(_ path: String, metadata: [(String, String)] = []) async throws -> EtcdCall {
        let reading = CallReading()
        let made = EtcdCall.Messages.makeSequence(
            backPressureStrategy: .init(
                lowWatermark: CallReading.messages.lowerBound,
                highWatermark: CallReading.messages.upperBound
            ),
            finishOnDeinit: true,
            delegate: reading
        )
        let channel: any Channel
        do {
            channel = try await multiplexer.createStreamChannel { channel in
                channel.eventLoop.makeCompletedFuture {
                    try channel.pipeline.syncOperations.addHandler(CallHandler(made.source, reading))
                }
            }.get()
        } catch {
            throw ClientError.unavailable("no stream could be opened: \(error)")
        }
        var headers: HPACKHeaders = [
            ":method": "POST", ":scheme": scheme, ":path": path, ":authority": authority, "te": "trailers",
            "content-type": "application/grpc", "user-agent": "drover-client",
        ]
        for (name, value) in metadata { headers.add(name: name, value: value) }
        let call = EtcdCall(channel: channel, messages: made.sequence)
        try await call.write(.headers(.init(headers: headers)))
        return call
    }

    /// Makes a unary call with encoded messages.
    ///
    /// - Throws: ``ClientError``; `CancellationError` when the task was cancelled, which gives the call up at the server too.
    public func unary(_ path: String, _ message: [UInt8], metadata: [(String, String)] = []) async throws -> [UInt8] {
        let call = try await open(path, metadata: metadata)
        do {
            try await call.send(message)
            try await call.finishSending()
            var reply: ByteBuffer?
            for try await message in call.messages { reply = message }
            guard let reply else { throw ClientError(code: 13, message: "the server sent no message") }
            return Array(reply.readableBytesView)
        } catch {
            // Who gives up a call that waits, such as one for a lock, gives it up at the server, too.
            await call.cancel()
            throw error
        }
    }

    /// Makes a unary call.
    public func unary<Reply: Message>(
        _ path: String,
        _ message: some Message,
        metadata: [(String, String)] = []
    ) async throws -> Reply {
        try Reply(serializedBytes: await unary(path, message.serializedBytes(), metadata: metadata))
    }
}
