import ArgumentParser
import EtcdAPI

/// `drover auth status`.
struct AuthStatusCommand: ClientCommand {
    static let configuration = CommandConfiguration(commandName: "status", abstract: "Whether users are asked.")

    @OptionGroup var client: ClientOptions

    func run(_ session: ClientSession) async throws {
        let request = PBAuthStatusRequest()
        let reply: PBAuthStatusResponse = try await session.call("Auth/AuthStatus", request)
        try session.printer.show(reply) {
            $0.line("Authentication Status: \(reply.enabled)\nAuthRevision: \(reply.authRevision)")
        }
    }
}
