public import Logging

/// How a store is run.
public struct StoreConfiguration: Sendable {
    /// Limits on everything that grows.
    public var limits = Limits()
    /// Seconds between the progress notifications of watches that asked for them. Default 600, as in etcd, and where it
    /// is 0; at least 0.1.
    public var progressInterval: Double = 600
    /// Bytes the database may take before writes are refused and the alarm NOSPACE is raised. Default 0: no limit; the
    /// disk's or the database server's own apply. etcd: `--quota-backend-bytes`, 2 GiB by default there.
    public var quotaBytes: Int64 = 0
    /// TLS to a database server, for endpoints that say nothing of it.
    public var databaseTLS = DriverOptions.TLS()
    /// Where the store logs. Nothing at `info` or above is logged per request.
    public var logger = Logger(label: "drover")

    /// The defaults.
    public init() {}
}
