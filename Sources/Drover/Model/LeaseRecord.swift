/// A lease as it is stored.
public struct LeaseRecord: Hashable, Sendable {
    /// Its id, never 0.
    public var id: Int64
    /// The time to live that was granted, in seconds.
    public var grantedTTL: Int64

    /// A lease from its parts.
    public init(id: Int64, grantedTTL: Int64) {
        self.id = id
        self.grantedTTL = grantedTTL
    }
}
