import ArgumentParser
import EtcdAPI

/// `drover member promote`.
struct MemberPromoteCommand: ClientCommand {
    static let configuration = CommandConfiguration(commandName: "promote", abstract: "Give a learner its vote.")

    @OptionGroup var client: ClientOptions

    @Argument(help: "The member, in hexadecimal.")
    var arguments: [String] = []

    func run(_ session: ClientSession) async throws {
        guard arguments.count == 1 else { throw CommandFailure.badArguments("member ID is not provided") }
        var request = PBMemberPromoteRequest()
        request.id = try MemberID.parsed(arguments[0])
        let reply: PBMemberPromoteResponse = try await session.call("Cluster/MemberPromote", request)
        try session.printer.show(reply) {
            $0.line(
                "Member \(TextBuffer.padded(request.id, 16)) promoted in cluster \(TextBuffer.padded(reply.header.clusterID, 16))"
            )
        }
    }
}
