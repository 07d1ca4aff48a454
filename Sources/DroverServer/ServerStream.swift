import Drover
import EtcdAPI
import NIOCore

/// One call: a stream of HTTP/2, or a request of HTTP/1.1. Used on its event loop.
final class ServerStream {
    /// How the client speaks.
    enum Form {
        /// The wire form: length-prefixed protobuf, status in the trailers.
        case wire
        /// The gateway's form: JSON.
        case json
    }

    /// Where the call's bytes go.
    enum Transport {
        case http2(HTTP2Connection, HTTP2Stream)
        case http1(HTTP1Connection)
    }

    let route: Route
    let form: Form
    let transport: Transport
    let context: LoopContext
    /// The token of auth that came with the call, if any.
    var token: String?
    /// The connection that the call came by.
    var connection: ObjectIdentifier {
        switch transport {
        case .http2(let connection, _): ObjectIdentifier(connection)
        case .http1(let connection): ObjectIdentifier(connection)
        }
    }
    /// What the watches of the connection share; a connection of HTTP/1.1 carries one.
    var watchBudget: WatchBudget? {
        if case .http2(let connection, _) = transport { return connection.watchBudget }
        return nil
    }
    /// On whose behalf the call is made.
    var caller: Caller {
        if token == nil, form == .wire, case .http2(let connection, _) = transport, let name = connection.peerName {
            return .user(.init(name: name, proof: .certificate))
        }
        return context.callers.caller(token)
    }
    /// How the client's messages come, and so how they are answered.
    var encoding = MessageEncoding.identity
    /// When the client stops waiting.
    var deadline = NIODeadline.distantFuture
    /// Request bytes that have not made a whole message yet.
    var inbound: ByteBuffer? {
        didSet {
            guard case .http2(let connection, _) = transport else { return }
            connection.bufferedRequestBytes += (inbound?.readableBytes ?? 0) - (oldValue?.readableBytes ?? 0)
        }
    }
    /// How far a stream of JSON documents has been looked through.
    var splitter = JSONSplitter()
    /// Whether a document of a stream of them has been taken.
    var hasTakenDocument = false
    /// Whether what comes is passed over, since something before it could not be understood.
    var readsNoMore = false
    /// Whether the client has sent all it will send.
    var requestEnded = false
    /// Whether a unary request has been handed to its service.
    var dispatched = false
    /// Whether the head of the reply is out.
    var headSent = false
    /// Whether the call is over: answered, failed or cancelled.
    private(set) var ended = false
    /// Told when the call is over, where another thread works for it.
    var end: CallEnd?
    /// The service's own state of a streaming call.
    var session: (any StreamSession)?
    /// A long list on its way to a JSON client.
    private var jsonList: GatewayListJSON?

    init(_ route: Route, _ form: Form, _ transport: Transport, _ context: LoopContext) {
        self.route = route
        self.form = form
        self.transport = transport
        self.context = context
        context.metrics.calls(route).started.add(1, ordering: .relaxed)
    }

    var allocator: ByteBufferAllocator {
        switch transport {
        case .http2(let connection, _): connection.allocator
        case .http1(let connection): connection.allocator
        }
    }

    // MARK: - Replies

    /// Answers a unary call. `message` is sealed: prefix and protobuf.
    ///
    /// - Parameter isCommitted: whether it says that something was written, which must not be refused any more.
    func reply(_ message: ByteBuffer, isCommitted: Bool = false) {
        if ended { return }
        if !isCommitted, case .http2(let connection, _) = transport, message.readableBytes > 4_096,
            connection.queuedBytes > connection.limits.unreadReplyBytes
        {
            // The client sends and does not read: a reply of some size is not kept for it as well.
            return fail(DroverError(.tooManyRequests))
        }
        if isCommitted, case .http2(let connection, _) = transport,
            connection.queuedBytes > 2 * connection.limits.unreadReplyBytes
        {
            // What was written cannot be refused, and not be told to one who does not read.
            return connection.close()
        }
        markEnded(0)
        switch (form, transport) {
        case (.wire, .http2(let connection, let stream)):
            connection.sendUnary(stream, encoding.encoded(message, allocator))
        case (.wire, .http1(let connection)):
            // The wire form needs HTTP/2; the request was refused before it came here.
            connection.close()
        case (.json, _):
            do {
                sendJSON(try GatewayJSON.reply(route, message))
            } catch {
                let status = CallStatus(code: 13, message: "drover: the reply could not be put into JSON")
                sendJSON(GatewayJSON.error(status), status: status)
            }
        }
    }

    /// Sends one message of a streaming reply. `promise` is fulfilled when its bytes have left.
    func send(_ message: ByteBuffer, promise: EventLoopPromise<Void>? = nil) {
        if ended {
            promise?.succeed()
            return
        }
        switch (form, transport) {
        case (.wire, .http2(let connection, let stream)):
            if !headSent {
                headSent = true
                connection.sendHead(stream)
            }
            connection.sendData(stream, encoding.encoded(message, allocator), promise: promise)
        case (.wire, .http1(let connection)):
            connection.close()
            promise?.succeed()
        case (.json, _):
            do {
                sendJSONPart(try GatewayJSON.streamed(route, message), promise: promise)
            } catch {
                promise?.succeed()
                fail(CallStatus(code: 13, message: "drover: the reply could not be put into JSON"))
            }
        }
    }

    /// Sends one message of a streaming reply whose rest may be others', too, without copying that. The prefix in `head` is of
    /// both.
    func send(_ head: ByteBuffer, _ rest: ByteBuffer, promise: EventLoopPromise<Void>) {
        if !ended, headSent, encoding == .identity, form == .wire, case .http2(let connection, let stream) = transport {
            return connection.sendData(stream, head, rest, promise: promise)
        }
        var message = head
        message.writeImmutableBuffer(rest)
        send(message, promise: promise)
    }

    /// Sends a piece of one long message, whose length its first piece carries.
    func sendRaw(_ piece: ByteBuffer, promise: EventLoopPromise<Void>?) {
        if ended {
            promise?.succeed()
            return
        }
        if form == .json {
            do {
                var list = jsonList ?? GatewayListJSON()
                let text = try list.piece(piece)
                jsonList = list
                sendJSONPart(text, promise: promise)
            } catch {
                promise?.succeed()
                fail(CallStatus(code: 13, message: "drover: the reply could not be put into JSON"))
            }
            return
        }
        guard case .http2(let connection, let stream) = transport else {
            promise?.succeed()
            return
        }
        if !headSent {
            headSent = true
            connection.sendHead(stream)
        }
        connection.sendData(stream, piece, promise: promise)
    }

    /// Ends a streaming call well.
    func finish() {
        if ended { return }
        if let list = jsonList { sendJSONPart(list.end(), promise: nil) }
        // The client may be found to have gone.
        if ended { return }
        markEnded(0)
        switch (form, transport) {
        case (.wire, .http2(let connection, let stream)): connection.sendEnd(stream, headSent: headSent, .ok)
        default: endJSON()
        }
    }

    /// Ends the call with an error.
    func fail(_ status: CallStatus) {
        if ended { return }
        markEnded(status.code)
        switch (form, transport) {
        case (.wire, .http2(let connection, let stream)):
            connection.sendEnd(stream, headSent: headSent, status)
        case (.wire, .http1(let connection)):
            connection.close()
        case (.json, _):
            if headSent && !route.streamsReplies {
                // Half a list is no reply: its end must not look like one.
                cut()
            } else if headSent {
                sendJSONPart(GatewayJSON.streamedError(status), promise: nil)
                endJSON()
            } else {
                let body = route.streamsReplies ? GatewayJSON.streamedError(status) : GatewayJSON.error(status)
                sendJSON(body, status: status)
            }
        }
    }

    /// Ends the call with an error.
    func fail(_ error: any Error) { fail(CallStatus(error)) }

    /// The client has gone: nothing is sent any more.
    func cancelled() {
        if !ended { markEnded(1) }
    }

    private func markEnded(_ code: Int) {
        ended = true
        end?.set()
        context.metrics.ended(route, code: code)
        session?.ended()
        session = nil
        inbound = nil
        if case .http2(let connection, let stream) = transport { connection.givesRoomBack(stream) }
    }

    // MARK: - JSON over either version of HTTP

    private func cut() {
        switch transport {
        case .http2(let connection, let stream): connection.reset(stream, .internalError)
        case .http1(let connection): connection.close()
        }
    }

    private func sendJSON(_ body: ByteBuffer, status: CallStatus = .ok) {
        switch transport {
        case .http2(let connection, let stream):
            connection.sendPlain(
                stream,
                status: status.httpStatus,
                contentType: "application/json",
                challenge: status.challenge,
                body
            )
        case .http1(let connection):
            connection.sendPlain(
                status: status.httpStatus,
                contentType: "application/json",
                challenge: status.challenge,
                body
            )
        }
    }

    private func sendJSONPart(_ part: ByteBuffer, promise: EventLoopPromise<Void>?) {
        switch transport {
        case .http2(let connection, let stream):
            if !headSent { connection.sendJSONHead(stream) }
            headSent = true
            connection.sendData(stream, part, promise: promise)
        case .http1(let connection):
            if !headSent { connection.sendJSONHead() }
            headSent = true
            connection.sendData(part, promise: promise)
        }
    }

    private func endJSON() {
        switch transport {
        case .http2(let connection, let stream):
            if !headSent { connection.sendJSONHead(stream) }
            connection.sendDataEnd(stream)
        case .http1(let connection):
            if !headSent { connection.sendJSONHead() }
            connection.sendDataEnd()
        }
    }
}

/// What a service keeps for a streaming call.
protocol StreamSession: AnyObject {
    /// The client has sent a message.
    func received(_ message: ByteBuffer)
    /// The client has sent its last message.
    func requestEnded()
    /// The call is over; nothing can be sent any more.
    func ended()
}
