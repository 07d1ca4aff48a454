import ArgumentParser

/// `drover endpoint`.
struct EndpointCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "endpoint",
        abstract: "How each server does.",
        subcommands: [EndpointHealthCommand.self, EndpointStatusCommand.self, EndpointHashCommand.self]
    )
}
