/// Leases that are kept alive as etcd's Go client keeps them: one stream for all leases of a client, on which it sends each
/// half second the renewals that are due.
///
/// Source: etcd `client/v3/lease.go` (`sendKeepAliveLoop`).
struct KeepAlivePlan: Sendable {
    static let burstNanoseconds: UInt64 = 500_000_000

    private let first: Int64
    private let count: Int
    /// The part of a client's leases that is due in a burst.
    private let share: Double

    /// - Parameter cycleSeconds: within which each lease is renewed once.
    init(first: Int64, count: Int, cycleSeconds: Double) {
        self.first = first
        self.count = count
        share = Double(Self.burstNanoseconds) / (max(0.001, cycleSeconds) * 1e9)
    }

    /// What one of several clients renews in a burst.
    func due(burst: Int, client: Int, of clients: Int) -> [Int64] {
        let own = (count - client + clients - 1) / clients
        if own <= 0 { return [] }
        // Round and round its leases, as far as the time has come.
        let (from, to) = (Int(Double(burst) * share * Double(own)), Int(Double(burst + 1) * share * Double(own)))
        return (from..<to).map { first + Int64(client + clients * ($0 % own)) }
    }
}
