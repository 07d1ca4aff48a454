import ArgumentParser
import EtcdAPI

/// `drover auth disable`.
struct AuthDisableCommand: ClientCommand {
    static let configuration = CommandConfiguration(commandName: "disable", abstract: "Ask nobody.")

    @OptionGroup var client: ClientOptions

    func run(_ session: ClientSession) async throws {
        let request = PBAuthDisableRequest()
        let reply: PBAuthDisableResponse = try await session.call("Auth/AuthDisable", request)
        try session.printer.show(reply, fields: { $0.header(reply.header) }) {
            $0.line("Authentication Disabled")
        }
    }
}
