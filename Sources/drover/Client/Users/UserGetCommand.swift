import ArgumentParser
import EtcdAPI

/// `drover user get`.
struct UserGetCommand: ClientCommand {
    static let configuration = CommandConfiguration(commandName: "get", abstract: "The roles of a user.")

    @OptionGroup var client: ClientOptions

    @Argument(help: "The user.")
    var arguments: [String] = []

    @Flag(help: "What the roles allow as well.")
    var detail = false

    func run(_ session: ClientSession) async throws {
        guard arguments.count == 1 else {
            throw CommandFailure.badArguments("user get command requires user name as its argument")
        }
        var request = PBAuthUserGetRequest()
        request.name = arguments[0]
        let reply: PBAuthUserGetResponse = try await session.call("Auth/UserGet", request)
        guard detail else {
            return try session.printer.show(reply) { text in
                text.line("User: \(arguments[0])")
                text.line("Roles:" + reply.roles.map { " \($0)" }.joined())
            }
        }
        FileHandles.standardOutput("User: \(arguments[0])\n")
        for role in reply.roles {
            FileHandles.standardOutput("\n")
            var request = PBAuthRoleGetRequest()
            request.role = role
            try RoleText.show(try await session.call("Auth/RoleGet", request), of: role, session.printer)
        }
    }
}
