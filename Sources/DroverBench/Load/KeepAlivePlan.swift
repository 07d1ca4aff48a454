/// Leases that are kept alive as etcd's Go client keeps them: one stream for all leases of a client, on which it sends each
/// half second the renewals that are due.
///
/// Source: etcd `client/v3/lease.go` (`sendKeepAliveLoop`).
struct KeepAlivePlan: Sendable {
    static let burstNanoseconds: UInt64 = 500_000_000

    private let first: Int64
    private let count: Int
    private let bursts: Int

    /// - Parameter cycleSeconds: within which each lease is renewed once.
    init(first: Int64, count: Int, cycleSeconds: Double) {
        self.first = first
        self.count = count
        bursts = max(1, Int(cycleSeconds * 1e9 / Double(Self.burstNanoseconds)))
    }

    /// What one of several clients renews in a burst.
    func due(burst: Int, client: Int, of clients: Int) -> [Int64] {
        var due: [Int64] = []
        var number = client + clients * (burst % bursts)
        while number < count {
            due.append(first + Int64(number))
            number += clients * bursts
        }
        return due
    }
}
