import NIOCore
import NIOPosix
import Synchronization

/// The connections to a server.
final class WireSession: BenchSession {
    private let group: MultiThreadedEventLoopGroup
    private let channels: [any Channel]
    private let watches = Atomic<Int>(0)

    /// How long a call that sets something up may take: filling a slow store, counting or compacting a large one.
    private static let patience = TimeAmount.seconds(600)

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

    func keepAlive(_ plan: KeepAlivePlan, clients: Int, recorder: LoadRecorder) async throws -> Int {
        var futures: [EventLoopFuture<Int>] = []
        for (place, channel) in channels.enumerated() {
            let count = channels.count
            let future = try await onLoop(channel) { connection -> EventLoopFuture<Int> in
                let stream = WireKeepAlive(plan, client: place, of: count, connection, channel.eventLoop, recorder)
                stream.start()
                return stream.done.futureResult
            }
            futures.append(future)
        }
        var gone = 0
        for future in futures { gone += try await future.get() }
        return gone
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
            let id = connection.begin(WireForm.path(operation), message, ends: true, single)
            connection.flush()
            Self.limit(promise.futureResult, on: channel, connection, id) { single.end(Self.unanswered) }
        }
        return try await promise.futureResult.get()
    }

    private static let unanswered = OperationFailure(description: "the server did not answer for ten minutes")

    /// Ends a call that is not answered.
    private static func limit<T>(
        _ answer: EventLoopFuture<T>,
        on channel: any Channel,
        _ connection: LoadConnection,
        _ id: UInt32?,
        _ end: @escaping () -> Void
    ) {
        let late = NIOLoopBound((connection, end), eventLoop: channel.eventLoop)
        let timer = channel.eventLoop.scheduleTask(in: patience) {
            if let id { late.value.0.reset(id) }
            late.value.1()
        }
        answer.whenComplete { _ in timer.cancel() }
    }

    func watch(_ plan: WatchPlan, _ sink: WatchSink) async throws -> any BenchWatch {
        // Spread over the connections, as the watches of several clients are.
        let number = watches.wrappingAdd(1, ordering: .relaxed).oldValue
        let channel = channels[number % channels.count]
        let created = channel.eventLoop.makePromise(of: Void.self)
        let id = try await onLoop(channel) { connection -> UInt32? in
            let receiver = WatchReceiver(sink, created)
            let id = connection.begin("/etcdserverpb.Watch/Watch", WireForm.watchCreate(plan), ends: false, receiver)
            connection.flush()
            Self.limit(created.futureResult, on: channel, connection, id) { receiver.end(Self.unanswered) }
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
