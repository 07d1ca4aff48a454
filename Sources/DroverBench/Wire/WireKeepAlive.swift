import NIOCore

/// One client's stream of renewals: an answer for each, in order.
final class WireKeepAlive: LoadConnection.Receiver {
    /// How many answers said that the lease had gone.
    let done: EventLoopPromise<Int>
    private let plan: KeepAlivePlan
    private let client: Int
    private let clients: Int
    private let connection: LoadConnection
    private let loop: any EventLoop
    private let recorder: LoadRecorder
    private var stream: UInt32?
    private var burst = 0
    /// When the next burst is due.
    private var due: UInt64 = 0
    private var sent = CircularBuffer<(lease: Int64, moment: UInt64)>()
    private var gone = 0
    private var isDone = false

    init(
        _ plan: KeepAlivePlan,
        client: Int,
        of clients: Int,
        _ connection: LoadConnection,
        _ loop: any EventLoop,
        _ recorder: LoadRecorder
    ) {
        self.plan = plan
        self.client = client
        self.clients = clients
        self.connection = connection
        self.loop = loop
        self.recorder = recorder
        done = loop.makePromise()
    }

    /// The clients' bursts are spread over the half second.
    func start() {
        due = Clock.now() + UInt64(client) * KeepAlivePlan.burstNanoseconds / UInt64(clients)
        later(due)
    }

    private func later(_ moment: UInt64) {
        let own = NIOLoopBound(self, eventLoop: loop)
        let now = Clock.now()
        loop.scheduleTask(in: .nanoseconds(moment > now ? Int64(moment - now) : 0)) { own.value.renew() }
    }

    private func renew() {
        if isDone { return }
        if due >= recorder.end { return finish() }
        for lease in plan.due(burst: burst, client: client, of: clients) {
            var message = ByteBuffer()
            WireForm.write(.keepAlive(id: lease), into: &message)
            sent.append((lease, due))
            if let stream {
                connection.add(stream, message)
            } else {
                stream = connection.begin(WireForm.path(.keepAlive(id: lease)), message, ends: false, self)
            }
        }
        connection.flush()
        burst += 1
        due += KeepAlivePlan.burstNanoseconds
        later(due)
    }

    /// Those that were not answered yet are waited for.
    private func finish() {
        if isDone { return }
        if !sent.isEmpty && Clock.now() < recorder.end &+ LoadRecorder.grace {
            return later(Clock.now() + 10_000_000)
        }
        isDone = true
        recorder.fail("a renewal was not answered", lane: client, began: 0, count: sent.count)
        if let stream { connection.reset(stream) }
        done.succeed(gone)
    }

    func receive(_ message: ByteBufferView) {
        guard let (lease, moment) = sent.popFirst(),
            let result = try? message.withUnsafeBytes({ try WireForm.read(.keepAlive(id: lease), $0) }),
            result.lease == lease
        else {
            recorder.fail("an answer to a renewal is not of its lease", lane: client, began: 0)
            return
        }
        if !result.succeeded { gone += 1 }
        recorder.record(.keepAlive, lane: client, began: moment, ended: Clock.now(), bytes: result.bytes)
    }

    func end(_ failure: OperationFailure?) {
        if isDone { return }
        let text = failure?.description ?? "the stream of renewals ended"
        // Those of the rest of the round were due as well.
        var left = 0
        while due < recorder.end {
            left += plan.due(burst: burst, client: client, of: clients).count
            burst += 1
            due += KeepAlivePlan.burstNanoseconds
        }
        recorder.fail(text, lane: client, began: 0, count: max(1, sent.count + left))
        isDone = true
        done.succeed(gone)
    }
}
