import ArgumentParser
import DroverClient
import EtcdAPI

/// `drover elect`.
struct ElectCommand: ClientCommand {
    static let configuration = CommandConfiguration(
        commandName: "elect",
        abstract: "Be a candidate until the command is interrupted, or see who is elected."
    )

    @OptionGroup var client: ClientOptions

    @Argument(help: "The name of the election, and what the candidate has to say.")
    var arguments: [String] = []

    @Flag(name: [.customShort("l"), .long], help: "Print who is elected, and each who follows.")
    var listen = false

    @Option(help: "Seconds after which others are elected when this client is lost.")
    var ttl: Int64 = 60

    func run(_ session: ClientSession) async throws {
        guard 1...2 ~= arguments.count else {
            throw CommandFailure.badArguments(
                "elect takes one election name argument and an optional proposal argument"
            )
        }
        let name = arguments[0]
        if listen {
            guard arguments.count == 1 else {
                throw CommandFailure.badArguments("no proposal accepted for --listen")
            }
            return try await observe(name, session)
        }
        guard arguments.count == 2 else {
            throw CommandFailure.badArguments("no proposal argument but -l not set")
        }
        let proposal = arguments[1]
        _ = try await LeaseSession(session: session, seconds: ttl).hold { lease in
            var request = PBCampaignRequest()
            (request.name, request.lease, request.value) = (.init(name.utf8), lease, .init(proposal.utf8))
            let (reply, session): (PBCampaignResponse, _) = try await session.waitThrough(
                "/v3electionpb.Election/Campaign",
                request
            )
            try await LeaseSession.show(Array(reply.leader.key), session)
            return [:]
        }
    }

    /// Prints who is elected, on another connection where one is lost.
    private func observe(_ name: String, _ session: ClientSession) async throws {
        var own: ClientSession?
        while true {
            do {
                try await observeOnce(name, own ?? session)
                throw ClientError.unavailable("the server has ended the stream")
            } catch let error as ClientError where error.code == 14 {
                await own?.close()
                own = try await session.reconnected()
            }
        }
    }

    private func observeOnce(_ name: String, _ session: ClientSession) async throws {
        var request = PBLeaderRequest()
        request.name = .init(name.utf8)
        let call = try await session.client.open("/v3electionpb.Election/Observe")
        try await call.send(request)
        try await call.finishSending()
        for try await bytes in call.messages {
            let leader = try PBLeaderResponse(serializedBytes: Array(bytes.readableBytesView))
            var reply = PBRangeResponse()
            (reply.header, reply.kvs, reply.count) = (leader.header, [leader.kv], 1)
            try session.printer.show(reply)
        }
    }
}
