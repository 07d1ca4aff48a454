import NIOCore

/// A lane on a connection: makes a call, takes its answer, makes the next.
final class WireLane: LoadConnection.Receiver {
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
        guard let operation = script.next(after: last) else { return done.succeed() }
        if connection.failure != nil && now < recorder.end { recorder.lanesLost.wrappingAdd(1, ordering: .relaxed) }
        guard var schedule else {
            if now >= recorder.end || connection.failure != nil { return done.succeed() }
            return call(operation, began: now)
        }
        if operation.followsAtOnce && connection.failure == nil { return call(operation, began: now) }
        if now > recorder.end &+ LoadRecorder.grace || connection.failure != nil {
            recorder.leave(schedule, lane: lane)
            return done.succeed()
        }
        let due = schedule.next()
        self.schedule = schedule
        if due >= recorder.end { return done.succeed() }
        if due <= now { return call(operation, began: due) }
        let late = NIOLoopBound(self, eventLoop: loop)
        loop.scheduleTask(in: .nanoseconds(Int64(due - now))) {
            late.value.call(operation, began: due)
            late.value.connection.flush()
        }
    }

    private func call(_ operation: Operation, began: UInt64) {
        var operation = operation
        if script.isStamped { operation.stamp(began) }
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
            recorder.record(
                result.succeeded ? operation.kind : .conflict,
                lane: lane,
                began: began,
                ended: now,
                bytes: result.bytes,
                keys: result.keys
            )
            if !script.isComplete(operation, result) {
                recorder.fail("an answer lacks keys", lane: lane, began: began)
            }
            return next(result)
        }
        recorder.fail(failure?.description ?? "the call ended without a reply", lane: lane, began: began)
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
