import NIOCore
import NIOPosix

/// The connections to a server.
final class WireSession: BenchSession {
    private let group: MultiThreadedEventLoopGroup
    private let channels: [any Channel]

    init(group: MultiThreadedEventLoopGroup, channels: [any Channel]) {
        self.group = group
        self.channels = channels
    }

    private func onLoop<T: Sendable>(
        _ channel: any Channel,
        _ body: @escaping @Sendable (LoadConnection) throws -> T
    ) async throws -> T {
        try await channel.eventLoop.submit {
            try body(try channel.pipeline.syncOperations.handler(type: LoadConnection.self))
        }.get()
    }

    func run(_ lanes: [LaneScript], pace: Pace, recorder: LoadRecorder) async throws {
        let start = Clock.now()
        let futures = try await withThrowingTaskGroup(of: [EventLoopFuture<Void>].self) { tasks in
            for (place, channel) in channels.enumerated() {
                let own = lanes.indices.filter { $0 % channels.count == place }
                if own.isEmpty { continue }
                tasks.addTask {
                    try await self.onLoop(channel) { connection in
                        let patience = Int64(recorder.end == .max ? 3_600 : 60) + Self.seconds(until: recorder.end)
                        let bound = NIOLoopBound(connection, eventLoop: channel.eventLoop)
                        let limit = channel.eventLoop.scheduleTask(in: .seconds(patience)) { bound.value.giveUp() }
                        let begun = own.map { lane in
                            let runner = WireLane(
                                lanes[lane],
                                lane,
                                connection,
                                channel.eventLoop,
                                recorder,
                                schedule: Self.schedule(pace, lane, lanes.count, start)
                            )
                            runner.start()
                            return runner.done.futureResult
                        }
                        connection.flush()
                        EventLoopFuture.andAllComplete(begun, on: channel.eventLoop).whenComplete { _ in
                            limit.cancel()
                        }
                        return begun
                    }
                }
            }
            return try await tasks.reduce(into: []) { $0 += $1 }
        }
        for future in futures { try await future.get() }
    }

    private static func seconds(until end: UInt64) -> Int64 {
        let now = Clock.now()
        return end == .max || end < now ? 0 : Int64((end - now) / 1_000_000_000)
    }

    private static func schedule(_ pace: Pace, _ lane: Int, _ lanes: Int, _ start: UInt64) -> Schedule? {
        guard case .open(let rate) = pace else { return nil }
        return Schedule(callsPerSecond: rate, lane: lane, lanes: lanes, start: start)
    }

    func perform(_ operation: Operation) async throws -> OperationResult {
        let channel = channels[0]
        let promise = channel.eventLoop.makePromise(of: OperationResult.self)
        try await onLoop(channel) { connection in
            let single = SingleCall(operation, promise)
            var message = ByteBuffer()
            WireForm.write(operation, into: &message)
            connection.begin(WireForm.path(operation), message, ends: true, single)
            connection.flush()
        }
        return try await promise.futureResult.get()
    }

    func watch(_ plan: WatchPlan, _ sink: WatchSink) async throws -> any BenchWatch {
        // Spread over the connections, as the watches of several clients are.
        let channel = channels[Int.random(in: 0..<channels.count)]
        let created = channel.eventLoop.makePromise(of: Void.self)
        let id = try await onLoop(channel) { connection -> UInt32? in
            let receiver = WatchReceiver(sink, created)
            let id = connection.begin("/etcdserverpb.Watch/Watch", WireForm.watchCreate(plan), ends: false, receiver)
            connection.flush()
            return id
        }
        try await created.futureResult.get()
        return WireWatch(channel: channel, id: id, asksForProgress: plan.asksForProgress)
    }

    func close() async {
        for channel in channels { try? await channel.close() }
        try? await group.shutdownGracefully()
    }
}

/// One call by itself.
private final class SingleCall: LoadConnection.Receiver {
    private let operation: Operation
    private let promise: EventLoopPromise<OperationResult>
    private var result: OperationResult?

    init(_ operation: Operation, _ promise: EventLoopPromise<OperationResult>) {
        self.operation = operation
        self.promise = promise
    }

    func receive(_ message: ByteBufferView) {
        result = try? message.withUnsafeBytes { try WireForm.read(operation, $0) }
    }

    func end(_ failure: OperationFailure?) {
        if let result, failure == nil {
            promise.succeed(result)
        } else {
            promise.fail(failure ?? OperationFailure(description: "the call ended without a reply"))
        }
    }
}

/// A lane on a connection: makes a call, takes its answer, makes the next.
private final class WireLane: LoadConnection.Receiver {
    let done: EventLoopPromise<Void>
    private let script: LaneScript
    private let lane: Int
    private let connection: LoadConnection
    private let loop: any EventLoop
    private let recorder: LoadRecorder
    private var schedule: Schedule?
    private var operation: Operation?
    private var began: UInt64 = 0
    private var result: OperationResult?
    private var isMeasured = true
    private var failures = 0

    init(
        _ script: LaneScript,
        _ lane: Int,
        _ connection: LoadConnection,
        _ loop: any EventLoop,
        _ recorder: LoadRecorder,
        schedule: Schedule?
    ) {
        self.script = script
        self.lane = lane
        self.connection = connection
        self.loop = loop
        self.recorder = recorder
        self.schedule = schedule
        done = loop.makePromise()
    }

    func start() { next(nil) }

    private func next(_ last: OperationResult?) {
        let now = Clock.now()
        // Asked at the end too, so that the script knows what came of its last call.
        guard let operation = script.next(after: last), now < recorder.end, connection.failure == nil else {
            done.succeed()
            return
        }
        isMeasured = script.isMeasured
        guard var schedule, isMeasured else { return call(operation, began: now) }
        let due = schedule.next()
        self.schedule = schedule
        if due <= now { return call(operation, began: due) }
        if due >= recorder.end { return done.succeed() }
        let late = NIOLoopBound(self, eventLoop: loop)
        loop.scheduleTask(in: .nanoseconds(Int64(due - now))) {
            late.value.call(operation, began: due)
            late.value.connection.flush()
        }
    }

    private func call(_ operation: Operation, began: UInt64) {
        self.operation = operation
        self.began = began
        result = nil
        var message = ByteBuffer()
        WireForm.write(operation, into: &message)
        connection.begin(WireForm.path(operation), message, ends: true, self)
    }

    func receive(_ message: ByteBufferView) {
        guard let operation else { return }
        result = try? message.withUnsafeBytes { try WireForm.read(operation, $0) }
    }

    func end(_ failure: OperationFailure?) {
        guard let operation else { return }
        let now = Clock.now()
        if let result, failure == nil {
            if isMeasured {
                recorder.record(
                    operation.kind,
                    lane: lane,
                    began: began,
                    ended: now,
                    bytes: result.bytes,
                    keys: result.keys
                )
            }
            return next(result)
        }
        recorder.fail(failure?.description ?? "the call ended without a reply", lane: lane)
        failures += 1
        // A server that refuses everything is not asked as fast as it can refuse.
        let pause = TimeAmount.milliseconds(Int64(min(1_000, failures)))
        let late = NIOLoopBound(self, eventLoop: loop)
        loop.scheduleTask(in: pause) {
            late.value.next(nil)
            late.value.connection.flush()
        }
    }
}

/// A watch's messages.
private final class WatchReceiver: LoadConnection.Receiver {
    private let sink: WatchSink
    private var created: EventLoopPromise<Void>?

    init(_ sink: WatchSink, _ created: EventLoopPromise<Void>) {
        self.sink = sink
        self.created = created
    }

    func receive(_ bytes: ByteBufferView) {
        guard let message = try? bytes.withUnsafeBytes({ try WireForm.readWatch($0) }) else {
            sink.fail("a watch's message cannot be read")
            return
        }
        if message.isCanceled { sink.fail("the watch was cancelled: \(message.reason)") }
        if message.isCreated {
            created?.succeed()
            created = nil
        }
        sink.take(message.events)
    }

    func end(_ failure: OperationFailure?) {
        created?.fail(failure ?? OperationFailure(description: "the watch ended"))
        created = nil
        sink.fail(failure?.description ?? "the watch ended")
    }
}

private struct WireWatch: BenchWatch {
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
            initialDelay: .milliseconds(100),
            delay: .milliseconds(100)
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
