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
        // Swift would put other bytes in their place, and other keys would be written and deleted than were named.
        let isText = (0..<Int(CommandLine.argc)).allSatisfy { place in
            CommandLine.unsafeArgv[place].map { String(validatingCString: $0) != nil } ?? true
        }
        guard isText else {
            FileHandles.standardError(
                "Error: arguments must be UTF-8; a value of other bytes goes through standard input\n"
            )
            exit(withError: ExitCode(128))
        }
        let arguments = GoFlags.normalized(Array(CommandLine.arguments.dropFirst()))
        do {
            var command = try parseAsRoot(arguments)
            if var waiting = command as? any AsyncParsableCommand {
                try await waiting.run()
            } else {
                try command.run()
            }
        } catch  where GoFlags.isClient(arguments) && exitCode(for: error) == .validationFailure {
            // etcdctl's status, where the parser's own is 64.
            FileHandles.standardError("\(fullMessage(for: error))\n")
            exit(withError: ExitCode(1))
        } catch {
            exit(withError: error)
        }
    }
}
