import ArgumentParser
import EtcdAPI

/// `drover member remove`.
struct MemberRemoveCommand: ClientCommand {
    static let configuration = CommandConfiguration(commandName: "remove", abstract: "Remove a member.")

    @OptionGroup var client: ClientOptions

    @Argument(help: "The member, in hexadecimal.")
    var arguments: [String] = []

    func run(_ session: ClientSession) async throws {
        guard arguments.count == 1 else { throw CommandFailure.badArguments("member ID is not provided") }
        var request = PBMemberRemoveRequest()
        request.id = try MemberID.parsed(arguments[0])
        let reply: PBMemberRemoveResponse = try await session.call("Cluster/MemberRemove", request)
        try session.printer.show(reply) {
            $0.line(
                "Member \(TextBuffer.padded(request.id, 16)) removed from cluster \(TextBuffer.padded(reply.header.clusterID, 16))"
            )
        }
    }
}
