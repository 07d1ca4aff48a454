import ArgumentParser
import EtcdAPI

/// `drover role add`.
struct RoleAddCommand: ClientCommand {
    static let configuration = CommandConfiguration(commandName: "add", abstract: "Make a role.")

    @OptionGroup var client: ClientOptions

    @Argument(help: "The role.")
    var arguments: [String] = []

    func run(_ session: ClientSession) async throws {
        guard arguments.count == 1 else {
            throw CommandFailure.badArguments("role add command requires role name as its argument")
        }
        var request = PBAuthRoleAddRequest()
        request.name = arguments[0]
        let reply: PBAuthRoleAddResponse = try await session.call("Auth/RoleAdd", request)
        try session.printer.show(reply, fields: { $0.header(reply.header) }) {
            $0.line("Role \(arguments[0]) created")
        }
    }
}
