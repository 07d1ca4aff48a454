public import NIOCore
import NIOHTTP2
public import SwiftProtobuf

/// A call in flight.
public final class EtcdCall: Sendable {
    /// A call's messages. When sixteen of them wait to be taken, the server is not read from.
    public typealias Messages = NIOThrowingAsyncSequenceProducer<
        ByteBuffer, any Error, NIOAsyncSequenceProducerBackPressureStrategies.HighLowWatermark, CallReading
    >

    private let channel: any Channel
    /// The server's messages; ends with the call, or throws ``ClientError``. Iterate once.
    public let messages: Messages

    init(channel: any Channel, messages: Messages) {
        self.channel = channel
        self.messages = messages
    }

    func write(_ payload: HTTP2Frame.FramePayload) async throws {
        do {
            try await channel.writeAndFlush(payload)
        } catch {
            // What the server said, if anything, is thrown by `messages`.
            if !channel.isActive { return }
            throw ClientError.unavailable("the call was cut: \(error)")
        }
    }

    /// Sends an encoded message.
    public func send(_ message: [UInt8]) async throws {
        var buffer = channel.allocator.buffer(capacity: message.count + 5)
        buffer.writeInteger(UInt8(0))
        buffer.writeInteger(UInt32(message.count))
        buffer.writeBytes(message)
        try await write(.data(.init(data: .byteBuffer(buffer))))
    }

    /// Sends a message.
    public func send(_ message: some Message) async throws {
        try await send(message.serializedBytes())
    }

    /// Tells the server that nothing more will be sent.
    public func finishSending() async throws {
        try await write(.data(.init(data: .byteBuffer(ByteBuffer()), endStream: true)))
    }

    /// Gives the call up.
    public func cancel() async {
        try? await channel.close()
    }
}

/// Cuts a call's bytes into messages and reads its status.
final class CallHandler: ChannelInboundHandler {
    typealias InboundIn = HTTP2Frame.FramePayload
    typealias OutboundOut = HTTP2Frame.FramePayload

    private let source: EtcdCall.Messages.Source
    private let reading: CallReading
    private var pending = ByteBuffer()
    private var isOver = false

    init(_ source: EtcdCall.Messages.Source, _ reading: CallReading) {
        self.source = source
        self.reading = reading
    }

    func handlerAdded(context: ChannelHandlerContext) { reading.begin(context.channel) }

    func handlerRemoved(context: ChannelHandlerContext) { reading.end() }

    func channelRead(context: ChannelHandlerContext, data: NIOAny) {
        switch unwrapInboundIn(data) {
        case .headers(let headers):
            if let status = headers.headers.first(name: "grpc-status") {
                let text = headers.headers.first(name: "grpc-message") ?? ""
                end(Int(status) ?? 2, Self.decoded(text))
            } else if headers.endStream {
                end(13, "the call ended without a status")
            }
        case .data(let data):
            guard case .byteBuffer(var bytes) = data.data else { return }
            pending.writeBuffer(&bytes)
            while let length: UInt32 = pending.getInteger(at: pending.readerIndex + 1),
                pending.readableBytes >= 5 + Int(length)
            {
                pending.moveReaderIndex(forwardBy: 5)
                if source.yield(pending.readSlice(length: Int(length))!) == .stopProducing { reading.stop() }
            }
            pending.discardReadBytes()
        default:
            break
        }
    }

    private func end(_ code: Int, _ message: String) {
        if isOver { return }
        isOver = true
        if code == 0 {
            source.finish()
        } else {
            source.finish(ClientError(code: code, message: message))
        }
    }

    private static func decoded(_ text: String) -> String {
        var bytes: [UInt8] = []
        var rest = Array(text.utf8)[...]
        while let byte = rest.popFirst() {
            if byte == 0x25, rest.count >= 2,
                let value = UInt8(String(decoding: rest.prefix(2), as: UTF8.self), radix: 16)
            {
                bytes.append(value)
                rest = rest.dropFirst(2)
            } else {
                bytes.append(byte)
            }
        }
        return String(decoding: bytes, as: UTF8.self)
    }

    func channelInactive(context: ChannelHandlerContext) {
        end(14, "the connection was lost")
        context.fireChannelInactive()
    }

    func errorCaught(context: ChannelHandlerContext, error: any Error) {
        end(14, "the call was cut: \(error)")
        context.close(promise: nil)
    }
}
