import ArgumentParser
import EtcdAPI

/// `drover user revoke-role`.
struct UserRevokeRoleCommand: ClientCommand {
    static let configuration = CommandConfiguration(commandName: "revoke-role", abstract: "Take a role from a user.")

    @OptionGroup var client: ClientOptions

    @Argument(help: "The user and the role.")
    var arguments: [String] = []

    func run(_ session: ClientSession) async throws {
        guard arguments.count == 2 else {
            throw CommandFailure.badArguments("user revoke-role requires user name and role name as its argument")
        }
        var request = PBAuthUserRevokeRoleRequest()
        (request.name, request.role) = (arguments[0], arguments[1])
        let reply: PBAuthUserRevokeRoleResponse = try await session.call("Auth/UserRevokeRole", request)
        try session.printer.show(reply, fields: { $0.header(reply.header) }) {
            $0.line("Role \(arguments[1]) is revoked from user \(arguments[0])")
        }
    }
}
