/// What a batch names, to be fetched before it is evaluated.
public struct BatchPrefetch: Sendable {
    /// Keys, each once.
    public var keys: [Bytes]
    /// Leases that calls attach keys to, grant or revoke, each once.
    public var leases: [Int64]
    /// Leases whose time seems to be over; they are locked against renewals.
    public var expiring: [Int64]

    /// A list from its parts.
    public init(keys: [Bytes] = [], leases: [Int64] = [], expiring: [Int64] = []) {
        self.keys = keys
        self.leases = leases
        self.expiring = expiring
    }
}

/// What a batch is evaluated over: read under the lock of `meta`, in this order.
public struct BatchBase: Sendable {
    /// The row of `meta`.
    public var meta: StoreMeta
    /// The state of each key asked for, in their order.
    public var states: [KeyState?]
    /// The leases asked for that exist. Empty in an embedded database, whose leases are in memory.
    public var leases: [Int64: LeaseState]
    /// The leases asked for as expiring that exist, locked against renewals; one that a renewal has locked is left out.
    public var expiring: [Int64: LeaseState] = [:]

    /// A base from its parts.
    public init(meta: StoreMeta, states: [KeyState?], leases: [Int64: LeaseState] = [:]) {
        self.meta = meta
        self.states = states
        self.leases = leases
    }
}
