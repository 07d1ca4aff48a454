import DroverServer
import NIOCore

/// One connection of the load: HTTP/2 frames by hand, so that the load costs less than what it measures. Used on its event
/// loop alone. Source: RFC 9113.
final class LoadConnection: ChannelInboundHandler {
    typealias InboundIn = ByteBuffer
    typealias OutboundOut = ByteBuffer

    /// Takes a call's messages and its end.
    protocol Receiver: AnyObject {
        func receive(_ message: ByteBufferView)
        /// - Parameter failure: nil of a call that ended well.
        func end(_ failure: OperationFailure?)
    }

    fileprivate final class Stream {
        let receiver: any Receiver
        var pending = ByteBuffer()
        var window: Int
        /// What the windows did not let through yet.
        var unsent: ByteBuffer?
        var endsWhenSent = false
        /// Bytes since its window was last opened.
        var received = 0

        init(_ receiver: any Receiver, window: Int) {
            self.receiver = receiver
            self.window = window
        }
    }

    private static let streamWindow = 64 << 20
    private static let connectionWindow = 1 << 30
    /// What one read brings at most, about.
    private static let readBytes = 64 << 10
    private static let largestFrame = 16_384

    private var headers: HeaderTable
    private var decoder = HPACKDecoder()
    private var context: ChannelHandlerContext?
    private var streams: [UInt32: Stream] = [:]
    private var nextStream: UInt32 = 1
    private var sendWindow = 65_535
    private var initialSendWindow = 65_535
    private var unacknowledged = 0
    private var input = ByteBuffer()
    private var output = ByteBuffer()
    private var headerBlock = ByteBuffer()
    private var headersEndStream = false
    private var blocked: [UInt32] = []
    private var isWriting = false
    private(set) var failure: OperationFailure?

    init(authority: String, isEncrypted: Bool, token: String?) {
        headers = HeaderTable(authority: authority, isEncrypted: isEncrypted, token: token)
    }

    // MARK: - The channel

    func handlerAdded(context: ChannelHandlerContext) {
        self.context = context
        if context.channel.isActive { greet() }
    }

    func channelActive(context: ChannelHandlerContext) {
        greet()
        context.fireChannelActive()
    }

    private func greet() {
        output.writeString("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n")
        frame(4, length: 12)
        // No pushes, and windows that no reply fills.
        output.writeMultipleIntegers(UInt16(2), UInt32(0))
        output.writeMultipleIntegers(UInt16(4), UInt32(Self.streamWindow))
        frame(8, length: 4)
        output.writeInteger(UInt32(Self.connectionWindow - 65_535))
        flush()
    }

    func channelInactive(context: ChannelHandlerContext) {
        fail("the connection was closed")
        self.context = nil
        context.fireChannelInactive()
    }

    func errorCaught(context: ChannelHandlerContext, error: any Error) {
        fail("\(error)")
        context.close(promise: nil)
    }

    /// Ends every call, and the connection, where a server has not answered for too long.
    func giveUp() {
        fail("the server did not answer for a minute")
        context?.close(promise: nil)
    }

    private func fail(_ text: String) {
        if failure == nil { failure = OperationFailure(description: text) }
        let open = streams
        streams = [:]
        for stream in open.values { stream.receiver.end(failure) }
    }

    // MARK: - Sending

    private func frame(_ kind: UInt8, flags: UInt8 = 0, stream: UInt32 = 0, length: Int) {
        output.writeMultipleIntegers(
            UInt8(truncatingIfNeeded: length >> 16),
            UInt16(truncatingIfNeeded: length),
            kind,
            flags,
            stream
        )
    }

    /// Begins a call with a first message; it goes out with ``flush()``.
    @discardableResult
    func begin(_ path: String, _ message: ByteBuffer, ends: Bool, _ receiver: any Receiver) -> UInt32? {
        guard failure == nil, context != nil, nextStream < 1 << 30 else {
            receiver.end(failure ?? OperationFailure(description: "the connection is used up"))
            return nil
        }
        let id = nextStream
        nextStream += 2
        let stream = Stream(receiver, window: initialSendWindow)
        streams[id] = stream
        let block = headers.block(path)
        frame(1, flags: 0x4, stream: id, length: block.count)
        output.writeBytes(block)
        send(id, stream, message, ends: ends)
        return id
    }

    /// A further message of a call.
    func send(_ id: UInt32, _ message: ByteBuffer, ends: Bool = false) {
        guard let stream = streams[id] else { return }
        send(id, stream, message, ends: ends)
        flush()
    }

    /// A further message of a call; it goes out with ``flush()``.
    func add(_ id: UInt32, _ message: ByteBuffer) {
        if let stream = streams[id] { send(id, stream, message, ends: false) }
    }

    private func send(_ id: UInt32, _ stream: Stream, _ message: ByteBuffer, ends: Bool) {
        let length = message.readableBytes + 5
        if stream.unsent == nil && length <= min(stream.window, sendWindow, Self.largestFrame) {
            stream.window -= length
            sendWindow -= length
            frame(0, flags: ends ? 0x1 : 0, stream: id, length: length)
            output.writeMultipleIntegers(UInt8(0), UInt32(message.readableBytes))
            output.writeImmutableBuffer(message)
            return
        }
        var unsent = stream.unsent ?? ByteBuffer()
        unsent.writeMultipleIntegers(UInt8(0), UInt32(message.readableBytes))
        unsent.writeImmutableBuffer(message)
        stream.unsent = unsent
        stream.endsWhenSent = ends
        pump(id, stream)
    }

    private func pump(_ id: UInt32, _ stream: Stream) {
        guard var unsent = stream.unsent else { return }
        while unsent.readableBytes > 0 {
            let length = min(unsent.readableBytes, stream.window, sendWindow, Self.largestFrame)
            if length <= 0 {
                stream.unsent = unsent
                if !blocked.contains(id) { blocked.append(id) }
                return
            }
            stream.window -= length
            sendWindow -= length
            let isLast = length == unsent.readableBytes
            frame(0, flags: isLast && stream.endsWhenSent ? 0x1 : 0, stream: id, length: length)
            output.writeImmutableBuffer(unsent.readSlice(length: length)!)
        }
        stream.unsent = nil
    }

    private func pumpBlocked() {
        let waiting = blocked
        blocked = []
        for id in waiting { if let stream = streams[id] { pump(id, stream) } }
    }

    /// Ends a call from this side.
    func reset(_ id: UInt32) {
        guard streams.removeValue(forKey: id) != nil else { return }
        frame(3, stream: id, length: 4)
        output.writeInteger(UInt32(8))
        flush()
    }

    /// Sends what was begun. While a read is being handled it waits for the read's end.
    func flush() {
        guard !isWriting, let context, output.readableBytes > 0 else { return }
        let bytes = output
        output = context.channel.allocator.buffer(capacity: 4_096)
        context.writeAndFlush(wrapOutboundOut(bytes), promise: nil)
    }

    // MARK: - Receiving

    func channelRead(context: ChannelHandlerContext, data: NIOAny) {
        var bytes = unwrapInboundIn(data)
        if input.readableBytes == 0 { input = bytes } else { input.writeBuffer(&bytes) }
        isWriting = true
        while input.readableBytes >= 9 {
            let start = input.readerIndex
            let length =
                Int(input.getInteger(at: start, as: UInt8.self)!) << 16
                | Int(input.getInteger(at: start + 1, as: UInt16.self)!)
            guard input.readableBytes >= 9 + length else { break }
            let kind: UInt8 = input.getInteger(at: start + 3)!
            let flags: UInt8 = input.getInteger(at: start + 4)!
            let id = input.getInteger(at: start + 5, as: UInt32.self)! & 0x7fff_ffff
            input.moveReaderIndex(forwardBy: 9)
            let payload = input.readSlice(length: length)!
            receive(kind, flags, id, payload)
        }
        guard input.readableBytes > 0 else {
            input = ByteBuffer()
            return
        }
        // Messages that are not whole yet share the buffer's memory: writing to it would copy all that was ever in it.
        var rest = context.channel.allocator.buffer(capacity: input.readableBytes + Self.readBytes)
        rest.writeBuffer(&input)
        input = rest
    }

    func channelReadComplete(context: ChannelHandlerContext) {
        isWriting = false
        if unacknowledged > Self.connectionWindow / 2 {
            frame(8, length: 4)
            output.writeInteger(UInt32(unacknowledged))
            unacknowledged = 0
        }
        flush()
        context.fireChannelReadComplete()
    }

    private func receive(_ kind: UInt8, _ flags: UInt8, _ id: UInt32, _ payload: ByteBuffer) {
        switch kind {
        case 0: receiveData(flags, id, payload)
        case 1, 9: receiveHeaders(kind, flags, id, payload)
        case 3:
            if let stream = streams.removeValue(forKey: id) {
                let code = payload.getInteger(at: payload.readerIndex, as: UInt32.self) ?? 0
                stream.receiver.end(OperationFailure(description: "the server reset the call (\(code))"))
            }
        case 4:
            if flags & 1 == 0 { settings(payload) }
        case 6:
            if flags & 1 == 0 {
                frame(6, flags: 1, length: 8)
                output.writeImmutableBuffer(payload)
            }
        case 7: fail("the server is going away")
        case 8:
            let increment = Int(payload.getInteger(at: payload.readerIndex, as: UInt32.self) ?? 0) & 0x7fff_ffff
            if id == 0 { sendWindow += increment } else { streams[id]?.window += increment }
            pumpBlocked()
        default: break
        }
    }

    private func settings(_ payload: ByteBuffer) {
        var payload = payload
        while let (name, value) = payload.readMultipleIntegers(as: (UInt16, UInt32).self) {
            guard name == 4 else { continue }
            let change = Int(value) - initialSendWindow
            initialSendWindow = Int(value)
            for stream in streams.values { stream.window += change }
        }
        frame(4, flags: 1, length: 0)
        pumpBlocked()
    }

    private func receiveData(_ flags: UInt8, _ id: UInt32, _ payload: ByteBuffer) {
        let arrived = payload.readableBytes
        unacknowledged += arrived
        guard let stream = streams[id] else { return }
        var payload = payload
        if flags & 0x8 != 0 {
            let padding = Int(payload.readInteger(as: UInt8.self) ?? 0)
            payload = payload.readSlice(length: max(0, payload.readableBytes - padding))!
        }
        if stream.pending.readableBytes > 0 {
            stream.pending.writeBuffer(&payload)
            payload = stream.pending
            stream.pending = ByteBuffer()
        }
        while payload.readableBytes >= 5 {
            let length = Int(payload.getInteger(at: payload.readerIndex + 1, as: UInt32.self)!)
            guard payload.readableBytes >= 5 + length else { break }
            payload.moveReaderIndex(forwardBy: 5)
            stream.receiver.receive(payload.readSlice(length: length)!.readableBytesView)
        }
        if payload.readableBytes > 0 { stream.pending = payload }
        if flags & 1 != 0 {
            streams.removeValue(forKey: id)
            stream.receiver.end(nil)
        } else if stream.hasTaken(arrived, of: Self.streamWindow / 2) {
            frame(8, stream: id, length: 4)
            output.writeInteger(UInt32(stream.takeReceived()))
        }
    }

    private func receiveHeaders(_ kind: UInt8, _ flags: UInt8, _ id: UInt32, _ payload: ByteBuffer) {
        var payload = payload
        if kind == 1 {
            var padding = 0
            if flags & 0x8 != 0 { padding = Int(payload.readInteger(as: UInt8.self) ?? 0) }
            if flags & 0x20 != 0 { payload.moveReaderIndex(forwardBy: min(5, payload.readableBytes)) }
            guard padding <= payload.readableBytes else {
                fail("the server's headers cannot be read")
                context?.close(promise: nil)
                return
            }
            payload = payload.readSlice(length: payload.readableBytes - padding)!
            headerBlock.clear()
            headersEndStream = flags & 1 != 0
        }
        headerBlock.writeBuffer(&payload)
        guard flags & 0x4 != 0 else { return }
        var head = RequestHead()
        do {
            try headerBlock.withUnsafeReadableBytes { try decoder.decode($0, into: &head) }
        } catch {
            fail("the server's headers cannot be read")
            context?.close(promise: nil)
            return
        }
        guard headersEndStream, let stream = streams.removeValue(forKey: id) else { return }
        let isGood = head.status == 0
        stream.receiver.end(
            isGood
                ? nil
                : OperationFailure(description: head.message ?? "status \(head.status.map(String.init) ?? "missing")")
        )
    }
}

extension LoadConnection.Stream {
    /// Whether a stream has taken so much that its window must be opened again.
    fileprivate func hasTaken(_ bytes: Int, of most: Int) -> Bool {
        received += bytes
        return received > most
    }

    fileprivate func takeReceived() -> Int {
        defer { received = 0 }
        return received
    }
}
