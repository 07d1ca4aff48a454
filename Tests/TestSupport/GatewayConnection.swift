import Foundation
import NIOCore
import NIOHTTP1
import NIOPosix

/// A client of etcd's JSON gateway over HTTP/1.1: one call at a time on one connection.
public final class GatewayConnection: Sendable {
    public struct Reply: Sendable {
        public var status: Int
        public var body: String
    }

    private let channel: NIOAsyncChannel<HTTPClientResponsePart, HTTPPart<HTTPRequestHead, ByteBuffer>>
    private struct Exchange: Sendable {
        var request: String
        var path: String
        var token: String?
        var reply: CheckedContinuation<Reply, any Error>
    }

    private let exchanges: AsyncStream<Exchange>
    private let calls: AsyncStream<Exchange>.Continuation
    private let worker: Task<Void, Never>

    public init(port: Int) async throws {
        channel = try await ClientBootstrap(group: MultiThreadedEventLoopGroup.singleton)
            .connect(host: "127.0.0.1", port: port) { channel in
                channel.eventLoop.makeCompletedFuture {
                    try channel.pipeline.syncOperations.addHTTPClientHandlers()
                    try channel.pipeline.syncOperations.addHandler(HTTPByteBufferRequestPartHandler())
                    return try NIOAsyncChannel(wrappingChannelSynchronously: channel)
                }
            }
        (exchanges, calls) = AsyncStream.makeStream()
        worker = Task { [channel, exchanges] in
            try? await channel.executeThenClose { inbound, outbound in
                var replies = inbound.makeAsyncIterator()
                for await exchange in exchanges {
                    do {
                        var head = HTTPRequestHead(version: .http1_1, method: .POST, uri: exchange.path)
                        head.headers.add(name: "host", value: "127.0.0.1")
                        head.headers.add(name: "content-type", value: "application/json")
                        head.headers.add(name: "content-length", value: "\(exchange.request.utf8.count)")
                        if let token = exchange.token { head.headers.add(name: "authorization", value: token) }
                        try await outbound.write(.head(head))
                        try await outbound.write(.body(ByteBuffer(string: exchange.request)))
                        try await outbound.write(.end(nil))
                        var reply = Reply(status: 0, body: "")
                        var bytes = ByteBuffer()
                        reading: while let part = try await replies.next() {
                            switch part {
                            case .head(let head): reply.status = Int(head.status.code)
                            case .body(var body): bytes.writeBuffer(&body)
                            case .end: break reading
                            }
                        }
                        reply.body = String(buffer: bytes)
                        exchange.reply.resume(returning: reply)
                    } catch {
                        exchange.reply.resume(throwing: error)
                    }
                }
            }
        }
    }

    /// Sends a JSON body, and a user's token, and returns what comes back.
    public func post(_ path: String, _ body: String, token: String? = nil) async throws -> Reply {
        try await withCheckedThrowingContinuation { continuation in
            calls.yield(Exchange(request: body, path: path, token: token, reply: continuation))
        }
    }

    public func close() async {
        calls.finish()
        await worker.value
    }
}

/// Requests of byte buffers, which NIO's client encoder wants wrapped.
private final class HTTPByteBufferRequestPartHandler: ChannelOutboundHandler {
    typealias OutboundIn = HTTPPart<HTTPRequestHead, ByteBuffer>
    typealias OutboundOut = HTTPClientRequestPart

    func write(context: ChannelHandlerContext, data: NIOAny, promise: EventLoopPromise<Void>?) {
        switch unwrapOutboundIn(data) {
        case .head(let head): context.write(wrapOutboundOut(.head(head)), promise: promise)
        case .body(let body): context.write(wrapOutboundOut(.body(.byteBuffer(body))), promise: promise)
        case .end(let trailers): context.write(wrapOutboundOut(.end(trailers)), promise: promise)
        }
    }
}
