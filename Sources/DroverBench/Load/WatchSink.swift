import Synchronization

/// Takes a watch's events and accounts for every one.
final class WatchSink: Sendable {
    struct Account: Sendable {
        var events = 0
        var last: Int64 = 0
        /// Events at or below the last revision: told twice, or out of order.
        var doubled = 0
        var outOfOrder = 0
        /// Answers to requests for progress.
        var progress = 0
        var failure: String?
        /// When it was last told of an event, in nanoseconds of ``Clock``.
        var lastTold: UInt64 = 0
        /// Keys of the revision that is being told: the first, and then the others, of which there are hardly ever any.
        private var firstOfLast: [UInt8] = []
        private var othersOfLast: Set<[UInt8]> = []

        fileprivate mutating func told(_ key: UnsafeRawBufferPointer, _ revision: Int64) {
            events += 1
            if revision > last {
                last = revision
                firstOfLast.removeAll(keepingCapacity: true)
                firstOfLast.append(contentsOf: key)
                if !othersOfLast.isEmpty { othersOfLast = [] }
            } else if revision < last {
                outOfOrder += 1
            } else if firstOfLast.elementsEqual(key) || !othersOfLast.insert(Array(key)).inserted {
                doubled += 1
            }
        }
    }

    /// The events of one response, taken one by one.
    struct Batch: ~Copyable {
        fileprivate var account: Account
        /// Of values that begin with one.
        fileprivate var moments: [UInt64] = []
        fileprivate let isStamped: Bool
        fileprivate var count = 0

        /// An event: its key, its revision and its value, which may begin with the moment it was put.
        mutating func add(_ key: UnsafeRawBufferPointer, _ revision: Int64, _ value: UnsafeRawBufferPointer) {
            account.told(key, revision)
            count += 1
            if isStamped && value.count >= 8 { moments.append(value.loadUnaligned(as: UInt64.self)) }
        }
    }

    private let account = Mutex(Account())
    private let recorder: LoadRecorder?
    private let lane: Int
    /// Whether values begin with the moment they were put.
    private let isStamped: Bool
    private let onEvents: (@Sendable (Int, Int64) -> Void)?

    init(
        recorder: LoadRecorder? = nil,
        lane: Int = 0,
        isStamped: Bool = false,
        onEvents: (@Sendable (_ events: Int, _ last: Int64) -> Void)? = nil
    ) {
        self.recorder = recorder
        self.lane = lane
        self.isStamped = isStamped
        self.onEvents = onEvents
    }

    var seen: Account { account.withLock { $0 } }

    /// Whether it was told of as many different events, or can be told of no more.
    func isDone(_ count: Int) -> Bool {
        account.withLock { $0.events - $0.doubled >= count || $0.failure != nil }
    }

    func fail(_ text: String) { account.withLock { $0.failure = text } }

    func toldProgress() { account.withLock { $0.progress += 1 } }

    /// Takes one response's events, which `body` adds.
    func take(_ body: (inout Batch) throws -> Void) rethrows {
        let now = Clock.now()
        try account.withLock { account in
            var batch = Batch(account: account, isStamped: isStamped)
            // The account is the batch's alone meanwhile: its key is written into, not copied.
            account = Account()
            defer { account = batch.account }
            try body(&batch)
            if batch.count == 0 { return }
            batch.account.lastTold = now
            recorder?.told(batch.moments, events: batch.count, lane: lane, at: now)
            onEvents?(batch.count, batch.account.last)
        }
    }
}
