import ArgumentParser

/// `drover lease`.
struct LeaseCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "lease",
        abstract: "Grant leases, keep them alive, and see what they hold.",
        subcommands: [
            LeaseGrantCommand.self, LeaseRevokeCommand.self, LeaseTimeToLiveCommand.self, LeaseListCommand.self,
            LeaseKeepAliveCommand.self,
        ]
    )
}
