import NIOCore

/// A watch over the wire.
struct WireWatch: BenchWatch {
    let channel: any Channel
    let id: UInt32?
    private let ticker: RepeatedTask?

    init(channel: any Channel, id: UInt32?, asksForProgress: Bool) {
        self.channel = channel
        self.id = id
        guard let id, asksForProgress else {
            ticker = nil
            return
        }
        ticker = channel.eventLoop.scheduleRepeatedTask(
            initialDelay: .nanoseconds(Int64(WatchPlan.progressNanoseconds)),
            delay: .nanoseconds(Int64(WatchPlan.progressNanoseconds))
        ) { _ in
            let connection = try channel.pipeline.syncOperations.handler(type: LoadConnection.self)
            connection.send(id, ByteBuffer(bytes: WireForm.progressRequest))
        }
    }

    func end() async {
        ticker?.cancel()
        guard let id else { return }
        try? await channel.eventLoop.submit { [channel] in
            try channel.pipeline.syncOperations.handler(type: LoadConnection.self).reset(id)
        }.get()
    }
}

/// A watch's messages.
final class WatchReceiver: LoadConnection.Receiver {
    private let sink: WatchSink
    private var created: EventLoopPromise<Void>?

    init(_ sink: WatchSink, _ created: EventLoopPromise<Void>) {
        self.sink = sink
        self.created = created
    }

    func receive(_ bytes: ByteBufferView) {
        var message = WireForm.WatchMessage()
        do {
            try sink.take { batch in
                message = try bytes.withUnsafeBytes { try WireForm.readWatch($0, &batch) }
            }
        } catch {
            sink.fail("a watch's message cannot be read")
            return
        }
        if message.isProgress { sink.toldProgress() }
        if message.isCanceled { sink.fail("the watch was cancelled: \(message.reason)") }
        if message.isCreated {
            created?.succeed()
            created = nil
        }
    }

    func end(_ failure: OperationFailure?) {
        created?.fail(failure ?? OperationFailure(description: "the watch ended"))
        created = nil
        sink.fail(failure?.description ?? "the watch ended")
    }
}
