import ArgumentParser

/// `drover member`.
struct MemberCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "member",
        abstract: "The servers that share a database.",
        subcommands: [
            MemberListCommand.self, MemberAddCommand.self, MemberRemoveCommand.self, MemberUpdateCommand.self,
            MemberPromoteCommand.self,
        ]
    )
}
