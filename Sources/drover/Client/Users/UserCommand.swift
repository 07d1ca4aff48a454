import ArgumentParser

/// `drover user`.
struct UserCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "user",
        abstract: "Who may ask.",
        subcommands: [
            UserAddCommand.self, UserDeleteCommand.self, UserGetCommand.self,
            UserListCommand.self, UserPasswordCommand.self, UserGrantRoleCommand.self,
            UserRevokeRoleCommand.self,
        ]
    )
}
