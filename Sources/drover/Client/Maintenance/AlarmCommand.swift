import ArgumentParser

/// `drover alarm`.
struct AlarmCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "alarm",
        abstract: "What has gone wrong, and saying that it is mended.",
        subcommands: [AlarmListCommand.self, AlarmDisarmCommand.self]
    )
}
