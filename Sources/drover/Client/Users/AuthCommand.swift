import ArgumentParser

/// `drover auth`.
struct AuthCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "auth",
        abstract: "Whether users are asked who they are.",
        subcommands: [
            AuthEnableCommand.self, AuthDisableCommand.self, AuthStatusCommand.self,
        ]
    )
}
