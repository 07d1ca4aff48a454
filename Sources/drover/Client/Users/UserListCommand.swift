import ArgumentParser
import EtcdAPI

/// `drover user list`.
struct UserListCommand: ClientCommand {
    static let configuration = CommandConfiguration(commandName: "list", abstract: "All users.")

    @OptionGroup var client: ClientOptions

    func run(_ session: ClientSession) async throws {
        let request = PBAuthUserListRequest()
        let reply: PBAuthUserListResponse = try await session.call("Auth/UserList", request)
        try session.printer.show(reply) {
            for user in reply.users { $0.line(user) }
        }
    }
}
