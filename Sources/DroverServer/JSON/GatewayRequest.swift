import Drover
import EtcdAPI
package import NIOCore

/// The request side of the JSON form: one document of a unary call, any number of a streaming one.
enum GatewayRequest {
    static let malformedTimeout = CallStatus(code: 3, message: "invalid grpc-timeout")

    /// Bytes of the longest document: base64 makes a request a third longer.
    static func longestDocument(_ limits: ServerLimits) -> Int {
        (limits.requestBytes + limits.requestSlackBytes) * 4 / 3 + 4_096
    }

    static func receive(_ stream: ServerStream, _ bytes: ByteBuffer, _ limits: ServerLimits) {
        if stream.readsNoMore { return }
        var bytes = bytes
        if var pending = stream.inbound {
            // Taken out, since a buffer that two hold would be copied with every frame.
            stream.inbound = nil
            pending.discardTaken()
            pending.writeBuffer(&bytes)
            stream.inbound = pending
        } else {
            // A slice of the socket's buffer would keep all of it alive.
            var pending = stream.allocator.buffer(capacity: max(256, bytes.readableBytes))
            pending.writeBuffer(&bytes)
            stream.inbound = pending
        }
        if case .http2(let connection, _) = stream.transport,
            connection.bufferedRequestBytes > limits.usableBufferedRequestBytes
        {
            return stream.fail(DroverError(.tooManyRequests))
        }
        let most = longestDocument(limits)
        if stream.route.streamsRequests { takeDocuments(stream) }
        if let inbound = stream.inbound, inbound.readableBytes > most {
            stream.fail(CallStatus(code: 8, message: "drover: the request is longer than \(most) bytes"))
        }
    }

    static func end(_ stream: ServerStream) {
        if stream.readsNoMore { return }
        if stream.route.streamsRequests {
            takeDocuments(stream)
            if stream.readsNoMore { return }
            if let rest = stream.inbound, rest.readableBytesView.contains(where: { $0 > 0x20 }), !stream.ended,
                !stream.hasTakenDocument
            {
                return stream.fail(CallStatus(code: 3, message: "unexpected EOF"))
            }
            stream.session?.requestEnded()
            return
        }
        if stream.dispatched { return }
        var body = stream.inbound ?? ByteBuffer()
        // What comes behind the first document is not looked at, as by etcd.
        if let length = JSONSplitter.firstDocument(body.readableBytesView) { body = body.readSlice(length: length)! }
        dispatch(stream, body)
    }

    private static func dispatch(_ stream: ServerStream, _ json: ByteBuffer) {
        do {
            Dispatcher.message(stream, try decoded(stream, json))
        } catch {
            refuse(stream, error)
        }
    }

    private static func decoded(_ stream: ServerStream, _ json: ByteBuffer) throws -> ByteBuffer {
        let most = stream.context.store.validator.maximumNestedOperations
        return try GatewayJSON.request(stream.route, json, maximumOperations: most)
    }

    private static func refuse(_ stream: ServerStream, _ error: any Error) {
        if let error = error as? DroverError { return stream.fail(error) }
        stream.fail(CallStatus(code: 3, message: "the request is no valid JSON form of the call: \(error)"))
    }

    private static func takeDocuments(_ stream: ServerStream) {
        while !stream.ended, var inbound = stream.inbound,
            let length = stream.splitter.firstDocument(inbound.readableBytesView)
        {
            let document = inbound.readSlice(length: length)!
            // A line's end alone is not kept.
            let isOver = inbound.readableBytes < 16 && !inbound.readableBytesView.contains { $0 > 0x20 }
            stream.inbound = isOver ? nil : inbound
            do {
                Dispatcher.message(stream, try decoded(stream, document))
            } catch {
                if !stream.hasTakenDocument { return refuse(stream, error) }
                // A stream goes on without what cannot be understood behind its beginning: etcd stops to read there.
                stream.inbound = nil
                stream.readsNoMore = true
                stream.session?.requestEnded()
                return
            }
            stream.hasTakenDocument = true
        }
    }
}

extension ByteBuffer {
    /// Gives the room of what has been read back, now and then: a buffer that always holds a part of the next message
    /// would otherwise grow by all that was ever received.
    mutating func discardTaken() {
        if readerIndex > 64 << 10 { discardReadBytes() }
    }
}

/// Finds the end of the first JSON document in bytes that may hold several, or part of one.
package struct JSONSplitter {
    private var depth = 0
    private var inString = false
    private var escaped = false
    /// Bytes that have been looked at.
    private var length = 0

    package init() {}

    /// The length of the first object with the white space before it; nil when it is not complete. Bytes that cannot
    /// begin an object are returned with it, to be refused by the decoder.
    package static func firstDocument(_ bytes: ByteBufferView) -> Int? {
        var splitter = JSONSplitter()
        return splitter.firstDocument(bytes)
    }

    /// As ``firstDocument(_:)-(ByteBufferView)``, going on where it stopped when the same bytes, and more, come again.
    package mutating func firstDocument(_ bytes: ByteBufferView) -> Int? {
        guard let end = scan(bytes.dropFirst(length)) else { return nil }
        self = JSONSplitter()
        return end
    }

    private mutating func scan(_ bytes: ByteBufferView) -> Int? {
        for byte in bytes {
            length += 1
            if inString {
                if escaped {
                    escaped = false
                } else if byte == UInt8(ascii: "\\") {
                    escaped = true
                } else if byte == UInt8(ascii: "\"") {
                    inString = false
                }
                continue
            }
            switch byte {
            case UInt8(ascii: "\""):
                if depth == 0 { return length }
                inString = true
            case UInt8(ascii: "{"), UInt8(ascii: "["): depth += 1
            case UInt8(ascii: "}"), UInt8(ascii: "]"):
                depth -= 1
                if depth <= 0 { return length }
            case 0x20, 0x09, 0x0a, 0x0d: break
            default: if depth == 0 { return length }
            }
        }
        return nil
    }
}
