import ArgumentParser

/// The command line.
@main
struct DroverCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "drover",
        abstract: "An etcd-compatible key/value/watch datastore over SQL databases.",
        version: DroverVersion.text,
        subcommands: [
            ServeCommand.self, CheckCommand.self, SnapshotCommand.self, BenchCommand.self, VersionCommand.self,
        ],
        groupedSubcommands: [
            CommandGroup(
                name: "Asking a server of etcd's API, as etcdctl does",
                subcommands: [
                    GetCommand.self, PutCommand.self, DelCommand.self, TxnCommand.self, WatchCommand.self,
                    CompactCommand.self, LeaseCommand.self, LockCommand.self, ElectCommand.self, MemberCommand.self,
                    EndpointCommand.self, AlarmCommand.self, DefragCommand.self, MoveLeaderCommand.self,
                    DowngradeCommand.self, UserCommand.self, RoleCommand.self, AuthCommand.self,
                ]
            )
        ],
        // As kine, which has no subcommands.
        defaultSubcommand: ServeCommand.self
    )

    static func main() async {
        await main(GoFlags.normalized(Array(CommandLine.arguments.dropFirst())))
    }
}
