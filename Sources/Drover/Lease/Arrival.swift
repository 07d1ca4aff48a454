/// Whether an instance that starts, or comes back to its database, is the first to serve: only then do leases get their
/// full time, as when etcd starts.
///
/// While another serves, clients can renew with it. Were every start to give leases their full time, one instance that
/// starts or loses its connection again and again would keep alive what nobody renews. An instance that has died is listed
/// for some seconds still, so others count as serving only when they say once more that they live. Nor do those count
/// that do not know themselves yet: of them the one with the lowest id goes first, and the others wait for it.
struct Arrival {
    /// How long others have for that, in nanoseconds: they say it every second.
    static let patience: Int64 = 2_500_000_000
    /// How long those with lower ids are waited for.
    static let longest: Int64 = 4 * patience

    enum Decision: Equatable {
        /// Not known yet; no lease may be ended meanwhile.
        case open
        /// Nobody else serves.
        case first
        /// Another instance serves.
        case joined
    }

    private let own: UInt64
    /// When each of the others last said that it lives, as of the beginning.
    private let seen: [UInt64: Int64]
    private let begin: Int64

    /// - Parameter living: the instances that are listed, this one among them.
    init(own: UInt64, living: [InstanceRecord], now: Int64) {
        self.own = own
        let others = living.filter { $0.id != own }
        seen = Dictionary(others.map { ($0.id, $0.heartbeat) }, uniquingKeysWith: { first, _ in first })
        begin = now
    }

    /// What is known from the instances that are listed now.
    func decide(living: [InstanceRecord], now: Int64) -> Decision {
        let others = living.filter { $0.id != own }
        // Of one that was not listed before, being there is a sign of life.
        let alive = others.filter { $0.heartbeat != seen[$0.id] }
        if alive.contains(where: { !$0.isArriving }) { return .joined }
        if others.isEmpty { return .first }
        if now - begin < Self.patience { return .open }
        return now - begin < Self.longest && alive.contains { $0.id < own } ? .open : .first
    }
}
