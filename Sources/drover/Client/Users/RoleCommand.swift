import ArgumentParser

/// `drover role`.
struct RoleCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "role",
        abstract: "What users may do.",
        subcommands: [
            RoleAddCommand.self, RoleDeleteCommand.self, RoleGetCommand.self,
            RoleListCommand.self, RoleGrantPermissionCommand.self, RoleRevokePermissionCommand.self,
        ]
    )
}
