/// What was said of an outage: each reason once in ten minutes, however often it is met, so that a log tells what an operator
/// must know and no more. A server that comes back may have no room, or be a standby: a reason that is new is told, too.
struct OutageReasons {
    /// The most reasons of one outage in that time; poolers put numbers of their own into theirs.
    private static let most = 16
    private static let nanoseconds: Int64 = 600_000_000_000

    private var told: Set<String> = []
    private var since: Int64 = 0

    /// Whether this reason is to be told now.
    ///
    /// - Parameter now: the monotonic time in nanoseconds.
    mutating func isNew(_ reason: String, now: Int64) -> Bool {
        if told.isEmpty || now - since > Self.nanoseconds {
            told = []
            since = now
        }
        return told.count < Self.most && told.insert(reason).inserted
    }

    /// The outage is over; the next one's are told anew.
    mutating func end() { told = [] }
}
