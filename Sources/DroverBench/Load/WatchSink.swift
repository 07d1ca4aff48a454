import Synchronization

/// Takes a watch's events and accounts for every one.
final class WatchSink: Sendable {
    struct Account: Sendable {
        var events = 0
        var last: Int64 = 0
        /// Events at or below the last revision: told twice, or out of order.
        var doubled = 0
        var outOfOrder = 0
        var failure: String?
        /// Keys of the revision that is being told.
        var keysOfLast: Set<[UInt8]> = []
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

    func fail(_ text: String) { account.withLock { $0.failure = text } }

    /// One response's events: the key, its revision, and the first bytes of its value.
    func take(_ events: [(key: [UInt8], revision: Int64, stamp: UInt64)]) {
        if events.isEmpty { return }
        let now = Clock.now()
        account.withLock { account in
            for event in events {
                account.events += 1
                if event.revision > account.last {
                    account.last = event.revision
                    account.keysOfLast = [event.key]
                } else if event.revision < account.last {
                    account.outOfOrder += 1
                } else if !account.keysOfLast.insert(event.key).inserted {
                    account.doubled += 1
                }
            }
        }
        if let recorder, isStamped {
            for event in events where event.stamp > 0 && event.stamp <= now {
                recorder.record(.delivery, lane: lane, began: event.stamp, ended: now)
            }
        }
        onEvents?(events.count, events[events.count - 1].revision)
    }
}
