/// What a run of the harness measures, and how long.
public struct BenchSettings: Sendable, Codable {
    /// Connections to an endpoint, and calls at a time on each; a store in this process has as many lanes together.
    public var connections = 50
    public var streams = 10
    /// Seconds that each round measures, and that it runs before.
    public var seconds = 10.0
    public var warmUpSeconds = 2.0
    /// Rounds of each target; they take turns.
    public var rounds = 3
    /// Calls a second of an open loop; 0 is a closed one.
    public var rate = 0.0
    /// Keys in the store before reads begin.
    public var keys = 10_000
    /// Bytes: `1024`, `uniform:100-4000` or `zipf:100-65536`.
    public var keySize = "48"
    public var valueSize = "1024"
    /// `random`, `sequential` or `zipf`.
    public var keyOrder = "random"
    /// The share of reads in `mixed`.
    public var readRatio = 0.9
    /// Nodes of the cluster that `kubernetes` plays.
    public var nodes = 100
    /// Watches of `watch` and `watch-keys`; watches that resume in `catch-up`.
    public var watchers = 100
    /// Leases of `lease`.
    public var leases = 1_000
    /// Revisions that `catch-up` goes back, and that `compaction` takes away.
    public var history = 20_000
    public var seed: UInt64 = 1

    public init() {}

    /// The most of each, so that a typing error asks for nothing absurd.
    public static let most = (connections: 10_000, streams: 10_000, seconds: 86_400.0, rounds: 100, keys: 100_000_000)

    var lanes: Int { connections * streams }
}
