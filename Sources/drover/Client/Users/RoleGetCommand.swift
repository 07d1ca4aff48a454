import ArgumentParser
import EtcdAPI

/// `drover role get`.
struct RoleGetCommand: ClientCommand {
    static let configuration = CommandConfiguration(commandName: "get", abstract: "What a role allows.")

    @OptionGroup var client: ClientOptions

    @Argument(help: "The role.")
    var arguments: [String] = []

    func run(_ session: ClientSession) async throws {
        guard arguments.count == 1 else {
            throw CommandFailure.badArguments("role get command requires role name as its argument")
        }
        var request = PBAuthRoleGetRequest()
        request.role = arguments[0]
        try RoleText.show(try await session.call("Auth/RoleGet", request), of: request.role, session.printer)
    }
}
