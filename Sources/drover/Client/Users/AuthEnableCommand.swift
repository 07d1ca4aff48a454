import ArgumentParser
import DroverClient
import EtcdAPI

/// `drover auth enable`.
struct AuthEnableCommand: ClientCommand {
    static let configuration = CommandConfiguration(
        commandName: "enable",
        abstract: "Ask everyone; there must be a user root."
    )

    @OptionGroup var client: ClientOptions

    func run(_ session: ClientSession) async throws {
        let reply: PBAuthEnableResponse
        do {
            reply = try await session.call("Auth/AuthEnable", PBAuthEnableRequest())
        } catch let error as ClientError where error.message == "etcdserver: root user does not have root role" {
            var role = PBAuthRoleAddRequest()
            role.name = "root"
            let _: PBAuthRoleAddResponse? = try? await session.call("Auth/RoleAdd", role)
            var grant = PBAuthUserGrantRoleRequest()
            (grant.user, grant.role) = ("root", "root")
            let _: PBAuthUserGrantRoleResponse = try await session.call("Auth/UserGrantRole", grant)
            reply = try await session.call("Auth/AuthEnable", PBAuthEnableRequest())
        }
        try session.printer.show(reply, fields: { $0.header(reply.header) }) { $0.line("Authentication Enabled") }
    }
}
