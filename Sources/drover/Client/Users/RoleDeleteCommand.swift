import ArgumentParser
import EtcdAPI

/// `drover role delete`.
struct RoleDeleteCommand: ClientCommand {
    static let configuration = CommandConfiguration(commandName: "delete", abstract: "Remove a role.")

    @OptionGroup var client: ClientOptions

    @Argument(help: "The role.")
    var arguments: [String] = []

    func run(_ session: ClientSession) async throws {
        guard arguments.count == 1 else {
            throw CommandFailure.badArguments("role delete command requires role name as its argument")
        }
        var request = PBAuthRoleDeleteRequest()
        request.role = arguments[0]
        let reply: PBAuthRoleDeleteResponse = try await session.call("Auth/RoleDelete", request)
        try session.printer.show(reply, fields: { $0.header(reply.header) }) {
            $0.line("Role \(arguments[0]) deleted")
        }
    }
}
