import ArgumentParser
import Logging

/// kine's flags for what this program does by itself, taken so that a command line of kine's starts it.
///
/// Source: kine `pkg/app/app.go`.
struct KineOptions: ParsableArguments {
    @Option(help: "kine's, without effect: an instance has as many connections as it needs.")
    var datastoreMaxIdleConnections: String?

    @Option(help: "kine's, without effect.")
    var datastoreMaxOpenConnections: String?

    @Option(help: "kine's, without effect.")
    var datastoreConnectionMaxLifetime: String?

    @Option(help: "kine's, without effect.")
    var datastoreConnectionMaxIdleTime: String?

    @Option(help: "kine's, without effect: the database server logs slow statements.")
    var slowSqlThreshold: String?

    @Option(help: "kine's, without effect.")
    var slowSqlWarningThreshold: String?

    @Flag(help: "kine's, without effect.")
    var metricsEnableProfiling = false

    @Flag(help: "kine's, without effect: an address for metrics alone speaks TLS where it says https.")
    var metricsIgnoreTlsConfig = false

    @Option(help: "kine's, without effect: instances do not compact at the same moment.")
    var compactIntervalJitter: String?

    @Option(help: "kine's, without effect: a compaction holds nobody up.")
    var compactTimeout: String?

    @Option(help: "kine's, without effect.")
    var compactBatchSize: String?

    @Option(help: "kine's, without effect.")
    var pollBatchSize: String?

    /// Says which were given.
    func warn(_ logger: Logger) {
        let values = [
            ("datastore-max-idle-connections", datastoreMaxIdleConnections),
            ("datastore-max-open-connections", datastoreMaxOpenConnections),
            ("datastore-connection-max-lifetime", datastoreConnectionMaxLifetime),
            ("datastore-connection-max-idle-time", datastoreConnectionMaxIdleTime),
            ("slow-sql-threshold", slowSqlThreshold), ("slow-sql-warning-threshold", slowSqlWarningThreshold),
            ("compact-interval-jitter", compactIntervalJitter), ("compact-timeout", compactTimeout),
            ("compact-batch-size", compactBatchSize), ("poll-batch-size", pollBatchSize),
        ]
        var given = values.filter { $0.1 != nil }.map(\.0)
        if metricsEnableProfiling { given.append("metrics-enable-profiling") }
        if metricsIgnoreTlsConfig { given.append("metrics-ignore-tls-config") }
        if given.isEmpty { return }
        logger.warning(
            "flags of kine that have no effect here may be left out",
            metadata: ["flags": "\(given.joined(separator: ", "))"]
        )
    }
}
