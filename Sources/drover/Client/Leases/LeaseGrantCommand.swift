import ArgumentParser
import EtcdAPI

/// `drover lease grant`.
struct LeaseGrantCommand: ClientCommand {
    static let configuration = CommandConfiguration(commandName: "grant", abstract: "Make a lease.")

    @OptionGroup var client: ClientOptions

    @Argument(help: "Seconds for which it lives without being kept alive.")
    var arguments: [String] = []

    func run(_ session: ClientSession) async throws {
        guard arguments.count == 1 else { throw CommandFailure.badArguments("lease grant command needs TTL argument") }
        guard let seconds = Int64(arguments[0]) else { throw CommandFailure.badArguments("bad TTL (\(arguments[0]))") }
        var request = PBLeaseGrantRequest()
        request.ttl = seconds
        let reply: PBLeaseGrantResponse = try await session.call("Lease/LeaseGrant", request)
        try session.printer.show(
            reply,
            fields: {
                $0.header(reply.header)
                $0.field("ID", reply.id)
                $0.field("TTL", reply.ttl)
            },
            json: {
                try GoJSON.flat(
                    reply.header,
                    "\"ID\":\(reply.id),\"TTL\":\(reply.ttl),\"Error\":\(GoJSON.string(reply.error))"
                )
            },
            simple: { $0.line("lease \(LeaseID.text(reply.id)) granted with TTL(\(reply.ttl)s)") }
        )
    }
}
