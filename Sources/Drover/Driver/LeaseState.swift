/// A lease as a shared database has it, by that database's clock.
public struct LeaseState: Hashable, Sendable {
    /// The time to live that was granted, in seconds.
    public var grantedTTL: Int64
    /// When its time is over, in microseconds of the database's clock.
    public var deadline: Int64
    /// That clock when the lease was read.
    public var now: Int64

    /// A state from its parts.
    public init(grantedTTL: Int64, deadline: Int64, now: Int64) {
        self.grantedTTL = grantedTTL
        self.deadline = deadline
        self.now = now
    }

    /// Whether its time is over.
    public var isExpired: Bool { deadline <= now }
    /// Whole seconds that are left.
    public var remaining: Int64 { max(0, (deadline - now) / 1_000_000) }
}
