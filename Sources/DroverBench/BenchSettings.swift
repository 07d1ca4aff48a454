/// What a run of the harness measures, and how long.
public struct BenchSettings: Sendable, Codable {
    /// Connections to an endpoint; a store in this process has none, but as many lanes. Default 50.
    public var connections = 50
    /// Calls at a time on each connection. Default 10.
    public var streams = 10
    /// Seconds that each round measures. Default 10.
    public var seconds = 10.0
    /// Seconds that each round runs before it measures. Default 2.
    public var warmUpSeconds = 2.0
    /// Rounds of each target; they take turns. Default 3.
    public var rounds = 3
    /// Calls a second of an open loop; 0, the default, is a closed one.
    public var rate = 0.0
    /// Keys in the store before reads begin. Default 10,000.
    public var keys = 10_000
    /// Bytes of a key, as `48`, `uniform:20-100` or `zipf:20-1000`; never less than its number needs. Default 48.
    public var keySize = "48"
    /// Bytes of a value, in the same forms. Default 1024.
    public var valueSize = "1024"
    /// The order of keys: `random`, the default, `sequential` or `zipf`.
    public var keyOrder = "random"
    /// The share of reads in `mixed`, from 0 to 1. Default 0.9.
    public var readRatio = 0.9
    /// Nodes of the cluster that `kubernetes` plays. Default 100.
    public var nodes = 100
    /// Watches of `watch`, `watch-keys` and `watch-beside`; watches that resume in `catch-up` and `catch-up-keys`.
    /// Default 100.
    public var watchers = 100
    /// Leases of `lease`. Default 1,000.
    public var leases = 1_000
    /// Revisions that `catch-up` and `catch-up-keys` go back, and that `compaction` takes away. Default 20,000.
    public var history = 20_000
    /// A name under which the keys of `get`, `mixed`, `page`, `pages`, `list` and `count` stay, to be found again by the
    /// next run that is given it; nil, the default, takes them away at the end.
    public var folder: String?
    /// What random choices begin with. Default 1.
    public var seed: UInt64 = 1

    /// Threads that make the load of an endpoint; nil in a file of an older version. Default 1.
    public var threads: Int? = 1

    /// The defaults.
    public init() {}

    /// Calls a second of a cluster: four in ten of `kubernetes` renew leases, and every node renews its own each ten seconds.
    public static func clusterRate(nodes: Int) -> Double { Double(nodes) / 10 / 0.4 }

    /// The most of each, so that a typing error asks for nothing absurd: seconds of a round and of its warm-up, calls a
    /// second, and numbers of the others; of sizes, bytes are limited to 64 MiB.
    static let most = (
        connections: 10_000, streams: 10_000, lanes: 100_000, seconds: 86_400.0, warmUpSeconds: 3_600.0, rounds: 100,
        rate: 10_000_000.0, keys: 100_000_000, nodes: 100_000, watchers: 100_000, leases: 1_000_000,
        history: 100_000_000
    )

    var lanes: Int { connections * streams }
}
