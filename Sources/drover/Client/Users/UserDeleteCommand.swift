import ArgumentParser
import EtcdAPI

/// `drover user delete`.
struct UserDeleteCommand: ClientCommand {
    static let configuration = CommandConfiguration(commandName: "delete", abstract: "Remove a user.")

    @OptionGroup var client: ClientOptions

    @Argument(help: "The user.")
    var arguments: [String] = []

    func run(_ session: ClientSession) async throws {
        guard arguments.count == 1 else {
            throw CommandFailure.badArguments("user delete command requires user name as its argument")
        }
        var request = PBAuthUserDeleteRequest()
        request.name = arguments[0]
        let reply: PBAuthUserDeleteResponse = try await session.call("Auth/UserDelete", request)
        try session.printer.show(reply, fields: { $0.header(reply.header) }) {
            $0.line("User \(arguments[0]) deleted")
        }
    }
}
