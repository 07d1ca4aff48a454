import TestSupport

/// How long the campaigns are: short for every change, longer in `make test-all`.
enum TestScale {
    /// Random calls to the oracle, all campaigns together.
    static let oracleCalls = Int(environment("DROVER_TEST_ORACLE_CALLS") ?? "") ?? 20_000
    /// Kills of a server under load.
    static let killRounds = Int(environment("DROVER_TEST_KILL_ROUNDS") ?? "") ?? 50
    /// Histories of many clients, each with four kills, that are checked for an order.
    static let historyRounds = Int(environment("DROVER_TEST_HISTORY_ROUNDS") ?? "") ?? 3
    /// Leases kept alive through another instance, and how often each.
    static let leases = Int(environment("DROVER_TEST_LEASES") ?? "") ?? 200
    static let leaseRounds = Int(environment("DROVER_TEST_LEASE_ROUNDS") ?? "") ?? 15
    /// Keys of 4,000 bytes in the list that nobody reads; 262,100 make a gigabyte.
    static let listKeys = Int(environment("DROVER_TEST_LIST_KEYS") ?? "") ?? 20_000
    /// Seconds that lists stay unread.
    static let stallSeconds = Double(environment("DROVER_TEST_STALL_SECONDS") ?? "") ?? 5
}
