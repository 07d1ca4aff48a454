import ArgumentParser
import EtcdAPI

/// `drover role list`.
struct RoleListCommand: ClientCommand {
    static let configuration = CommandConfiguration(commandName: "list", abstract: "All roles.")

    @OptionGroup var client: ClientOptions

    func run(_ session: ClientSession) async throws {
        let reply: PBAuthRoleListResponse = try await session.call("Auth/RoleList", PBAuthRoleListRequest())
        try session.printer.show(
            reply,
            fields: {
                $0.header(reply.header)
                let roles = reply.roles.map { GoText.quoted(Array($0.utf8)) }
                $0.text.add("\"Roles\" : \(roles.joined(separator: " "))\n")
            },
            simple: { for role in reply.roles { $0.line(role) } }
        )
    }
}
