import ArgumentParser
import EtcdAPI

/// `drover user grant-role`.
struct UserGrantRoleCommand: ClientCommand {
    static let configuration = CommandConfiguration(commandName: "grant-role", abstract: "Give a user a role.")

    @OptionGroup var client: ClientOptions

    @Argument(help: "The user and the role.")
    var arguments: [String] = []

    func run(_ session: ClientSession) async throws {
        guard arguments.count == 2 else {
            throw CommandFailure.badArguments("user grant command requires user name and role name as its argument")
        }
        var request = PBAuthUserGrantRoleRequest()
        (request.user, request.role) = (arguments[0], arguments[1])
        let reply: PBAuthUserGrantRoleResponse = try await session.call("Auth/UserGrantRole", request)
        try session.printer.show(reply, fields: { $0.header(reply.header) }) {
            $0.line("Role \(arguments[1]) is granted to user \(arguments[0])")
        }
    }
}
