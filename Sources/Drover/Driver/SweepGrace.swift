/// How long a sweep waits for watches, those of other instances too.
public struct SweepGrace: Sendable {
    /// Nanoseconds after which it waits no longer.
    private static let longest: Int64 = 10_000_000_000
    /// After as long without a question another instance has swept meanwhile, and it waits anew.
    private static let gap: Int64 = 5_000_000_000

    /// When it began to wait, in nanoseconds of the monotonic clock; 0 while it does not.
    private var since: Int64 = 0
    private var askedAt: Int64 = 0

    /// Not waiting.
    public init() {}

    /// Whether rows before `revision` must stay a while longer.
    ///
    /// - Parameters:
    ///   - position: how far this instance's watches are.
    ///   - others: the other instances that live.
    public mutating func isNeeded(before revision: Int64, position: Int64, others: [InstanceRecord]) -> Bool {
        if position >= revision && others.allSatisfy({ $0.position >= revision }) {
            since = 0
            return false
        }
        let now = Monotonic.now()
        if since == 0 || now - askedAt > Self.gap { since = now }
        askedAt = now
        if now - since < Self.longest { return true }
        since = 0
        return false
    }

    /// The sweep is over, whoever did it.
    public mutating func end() { since = 0 }
}
