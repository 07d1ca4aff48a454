import ArgumentParser
import EtcdAPI

/// `drover member update`.
struct MemberUpdateCommand: ClientCommand {
    static let configuration = CommandConfiguration(commandName: "update", abstract: "Say where a member is reached.")

    @OptionGroup var client: ClientOptions

    @Argument(help: "The member, in hexadecimal.")
    var arguments: [String] = []

    @Option(help: "Where its peers reach it, divided by commas.")
    var peerUrls: String = ""

    func run(_ session: ClientSession) async throws {
        guard arguments.count == 1 else { throw CommandFailure.badArguments("member ID is not provided") }
        guard !peerUrls.isEmpty else { throw CommandFailure.badArguments("member peer urls not provided") }
        var request = PBMemberUpdateRequest()
        request.id = try MemberID.parsed(arguments[0])
        request.peerUrls = peerUrls.split(separator: ",").map(String.init)
        let reply: PBMemberUpdateResponse = try await session.call("Cluster/MemberUpdate", request)
        try session.printer.show(reply) {
            $0.line(
                "Member \(TextBuffer.padded(request.id, 16)) updated in cluster \(TextBuffer.padded(reply.header.clusterID, 16))"
            )
        }
    }
}
