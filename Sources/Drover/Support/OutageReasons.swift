/// What was said of an outage: each reason once, however often it is met, so that a log tells what an operator must know and
/// no more. A server that comes back may have no room, or be a standby: a reason that is new is told, too.
struct OutageReasons {
    /// The most reasons of one outage; further ones are not told.
    private static let most = 16

    private var told: Set<String> = []

    /// Whether this reason has not been told yet; from now on it has.
    mutating func isNew(_ reason: String) -> Bool {
        told.count < Self.most && told.insert(reason).inserted
    }

    /// The outage is over; the next one's are told anew.
    mutating func end() { if !told.isEmpty { told = [] } }
}
