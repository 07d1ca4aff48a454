import Drover
import EtcdAPI
import NIOCore
import SwiftProtobuf

/// A call that waits for others, and so is a task of its own: cancelled when its client goes or its deadline passes.
final class TaskSession: StreamSession {
    /// Sends a message of a streaming reply; returns when its bytes have left.
    typealias Send = @Sendable (any Message) async throws -> Void
    /// Answers one request: with a message, or by sending several and returning none.
    typealias Body = @Sendable (ByteBuffer, Send) async throws -> (any Message)?

    private unowned let stream: ServerStream
    private let context: LoopContext
    private let body: Body
    private var task: Task<Void, Never>?
    private var isOver = false

    init(_ stream: ServerStream, _ body: @escaping Body) {
        self.stream = stream
        self.body = body
        context = stream.context
    }

    func received(_ message: ByteBuffer) {
        guard task == nil else {
            return stream.fail(CallStatus(code: 13, message: "drover: a call with one request was sent two"))
        }
        let bound = NIOLoopBound(self, eventLoop: context.loop)
        let (context, body, caller) = (context, body, stream.caller)
        task = Task {
            let result: Result<(any Message)?, any Error>
            do {
                result = .success(
                    try await Store.$caller.withValue(caller) {
                        try await body(message) { part in
                            try await context.loop.flatSubmit { bound.value.send(part) }.get()
                        }
                    }
                )
            } catch {
                result = .failure(error)
            }
            context.loop.execute {
                bound.value.finish(result)
                context.flush()
            }
        }
    }

    private func send(_ message: any Message) -> EventLoopFuture<Void> {
        let promise = context.loop.makePromise(of: Void.self)
        if isOver {
            promise.fail(CancellationError())
        } else {
            do {
                stream.send(try MessageBuffer.make(stream.allocator, message), promise: promise)
                context.flush()
            } catch {
                promise.fail(error)
            }
        }
        return promise.futureResult
    }

    private func finish(_ result: Result<(any Message)?, any Error>) {
        if isOver { return }
        do {
            if let message = try result.get() {
                stream.reply(try MessageBuffer.make(stream.allocator, message))
            } else {
                stream.finish()
            }
        } catch {
            stream.fail(error)
        }
    }

    func requestEnded() {
        if task == nil && !isOver {
            stream.fail(CallStatus(code: 13, message: "drover: the request ended without a message"))
        }
    }

    func ended() {
        isOver = true
        task?.cancel()
    }
}
