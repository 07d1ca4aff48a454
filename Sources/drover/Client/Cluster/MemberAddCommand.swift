import ArgumentParser
import EtcdAPI

/// `drover member add`.
struct MemberAddCommand: ClientCommand {
    static let configuration = CommandConfiguration(commandName: "add", abstract: "Announce a member.")

    @OptionGroup var client: ClientOptions

    @Argument(help: "The name of the member.")
    var arguments: [String] = []

    @Option(help: "Where its peers reach it, divided by commas.")
    var peerUrls: String = ""

    @Flag(help: "It has no vote yet.")
    var learner = false

    func run(_ session: ClientSession) async throws {
        guard arguments.count == 1 else { throw CommandFailure.badArguments("member name not provided") }
        let urls = peerUrls.split(separator: ",").map(String.init)
        guard !urls.isEmpty else { throw CommandFailure.badArguments("member peer urls not provided") }
        var request = PBMemberAddRequest()
        (request.peerUrls, request.isLearner) = (urls, learner)
        let reply: PBMemberAddResponse = try await session.call("Cluster/MemberAdd", request)
        try session.printer.show(reply) { text in
            text.line(
                "Member \(TextBuffer.padded(reply.member.id, 16)) added to cluster \(TextBuffer.padded(reply.header.clusterID, 16))"
            )
            let initial = reply.members.flatMap { member in
                member.peerUrls.map { "\(member.id == reply.member.id ? arguments[0] : member.name)=\($0)" }
            }
            text.line("\nETCD_NAME=\"\(arguments[0])\"")
            text.line("ETCD_INITIAL_CLUSTER=\"\(initial.joined(separator: ","))\"")
            text.line("ETCD_INITIAL_ADVERTISE_PEER_URLS=\"\(peerUrls)\"")
            text.line("ETCD_INITIAL_CLUSTER_STATE=\"existing\"")
        }
    }
}
