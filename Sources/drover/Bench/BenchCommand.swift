import ArgumentParser
import DroverBench

/// `drover bench`.
struct BenchCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "bench",
        abstract: "Compare backends with each other and with any endpoint of etcd's API.",
        discussion: """
            drover bench --workload kubernetes --target sqlite://bench.db --target http://127.0.0.1:2379

            Workloads:
            \(WorkloadCatalog.descriptions.map { "  \($0.name): \($0.summary)" }.joined(separator: "\n"))

            Targets take turns, round by round. Every workload writes under /drover-bench/ and takes its keys away \
            at the end, unless --folder names a place for them. The history stays, and an etcd may come to its quota by it; \
            only compaction compacts, and that the whole store. Stores named by a database's URL are opened in this \
            process: what the load costs is in their figures, and what a database server takes is not. A first ctrl-C ends \
            the run after the present round, with a report of those that are over.
            """,
        subcommands: [BenchRunCommand.self, BenchCompareCommand.self],
        defaultSubcommand: BenchRunCommand.self
    )
}
