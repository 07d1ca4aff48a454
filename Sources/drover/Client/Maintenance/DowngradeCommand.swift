import ArgumentParser
import EtcdAPI

/// `drover downgrade`.
struct DowngradeCommand: ClientCommand {
    static let configuration = CommandConfiguration(
        commandName: "downgrade",
        abstract: "Ask whether an older version may follow, allow it, or no longer.",
        usage: "drover downgrade validate|enable VERSION\n       drover downgrade cancel"
    )

    @OptionGroup var client: ClientOptions

    @Argument(help: "validate, enable or cancel, and the version.")
    var arguments: [String] = []

    func run(_ session: ClientSession) async throws {
        var request = PBDowngradeRequest()
        switch (arguments.first, arguments.count) {
        case ("validate", 2): request.action = .validate
        case ("enable", 2): request.action = .enable
        case ("cancel", 1): request.action = .cancel
        default: throw CommandFailure.badArguments("downgrade takes validate VERSION, enable VERSION or cancel")
        }
        if arguments.count == 2 { request.version = arguments[1] }
        let reply: PBDowngradeResponse = try await session.call("Maintenance/Downgrade", request)
        let words = [
            "validate": "Downgrade validate success, cluster version \(reply.version)",
            "enable": "Downgrade enable success, cluster version \(reply.version)",
            "cancel": "Downgrade cancel success, cluster version \(reply.version)",
        ]
        try session.printer.show(reply) { $0.line(words[arguments[0]]!) }
    }
}
