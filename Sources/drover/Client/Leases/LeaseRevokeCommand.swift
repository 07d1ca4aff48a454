import ArgumentParser
import DroverClient
import EtcdAPI

/// `drover lease revoke`.
struct LeaseRevokeCommand: ClientCommand {
    static let configuration = CommandConfiguration(commandName: "revoke", abstract: "End a lease, and its keys.")

    @OptionGroup var client: ClientOptions

    @Argument(help: "The lease, in hexadecimal.")
    var arguments: [String] = []

    func run(_ session: ClientSession) async throws {
        guard arguments.count == 1 else { throw CommandFailure.badArguments("lease revoke command needs 1 argument") }
        var request = PBLeaseRevokeRequest()
        request.id = try LeaseID.parsed(arguments[0])
        let reply: PBLeaseRevokeResponse
        do {
            reply = try await session.call("Lease/LeaseRevoke", request)
        } catch let error as ClientError {
            throw CommandFailure.failed("failed to revoke lease (\(error.message))")
        }
        try session.printer.show(reply, fields: { $0.header(reply.header) }) {
            $0.line("lease \(LeaseID.text(request.id)) revoked")
        }
    }
}
