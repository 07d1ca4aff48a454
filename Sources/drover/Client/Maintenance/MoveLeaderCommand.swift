import ArgumentParser
import EtcdAPI

/// `drover move-leader`.
struct MoveLeaderCommand: ClientCommand {
    static let configuration = CommandConfiguration(commandName: "move-leader", abstract: "Make another member lead.")

    @OptionGroup var client: ClientOptions

    @Argument(help: "The member, in hexadecimal.")
    var arguments: [String] = []

    func run(_ session: ClientSession) async throws {
        guard arguments.count == 1 else { throw CommandFailure.badArguments("move-leader command needs 1 argument") }
        let target = try MemberID.parsed(arguments[0])
        for endpoint in try client.endpointList() {
            let member = try await session.session(at: endpoint)
            let status: PBStatusResponse = try await member.call("Maintenance/Status", PBStatusRequest())
            guard status.leader == status.header.memberID else {
                await member.close()
                continue
            }
            var request = PBMoveLeaderRequest()
            request.targetID = target
            let reply: PBMoveLeaderResponse = try await member.call("Maintenance/MoveLeader", request)
            await member.close()
            return try session.printer.show(reply) {
                $0.line(
                    "Leadership transferred from \(MemberID.text(status.leader)) to \(MemberID.text(target))"
                )
            }
        }
        throw CommandFailure.badArguments("no leader endpoint given at \(client.endpoints)")
    }
}
