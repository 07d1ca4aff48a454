import ArgumentParser

/// The command line.
@main
struct DroverCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "drover",
        abstract: "An etcd-compatible key/value/watch datastore over SQL databases.",
        version: DroverVersion.text,
        subcommands: [ServeCommand.self, CheckCommand.self, SnapshotCommand.self, VersionCommand.self],
        // As kine, which has no subcommands.
        defaultSubcommand: ServeCommand.self
    )
}
