import ArgumentParser
import EtcdAPI

/// `drover lease timetolive`.
struct LeaseTimeToLiveCommand: ClientCommand {
    static let configuration = CommandConfiguration(
        commandName: "timetolive",
        abstract: "How long a lease still lives."
    )

    @OptionGroup var client: ClientOptions

    @Argument(help: "The lease, in hexadecimal.")
    var arguments: [String] = []

    @Flag(help: "The keys that live with it as well.")
    var keys = false

    func run(_ session: ClientSession) async throws {
        guard arguments.count == 1 else {
            throw CommandFailure.badArguments("lease timetolive command needs lease ID as argument")
        }
        var request = PBLeaseTimeToLiveRequest()
        (request.id, request.keys) = (try LeaseID.parsed(arguments[0]), keys)
        let reply: PBLeaseTimeToLiveResponse = try await session.call("Lease/LeaseTimeToLive", request)
        try session.printer.show(
            reply,
            fields: {
                $0.header(reply.header)
                $0.field("ID", reply.id)
                $0.field("TTL", reply.ttl)
                $0.field("GrantedTTL", reply.grantedTtl)
                for key in reply.keys { $0.quoted("Key", key) }
            },
            json: {
                let keys = reply.keys.map { "\"\($0.base64EncodedString())\"" }.joined(separator: ",")
                return try GoJSON.flat(
                    reply.header,
                    "\"id\":\(reply.id),\"ttl\":\(reply.ttl),\"granted-ttl\":\(reply.grantedTtl),\"keys\":\(reply.keys.isEmpty ? "null" : "[\(keys)]")"
                )
            },
            simple: { text in
                if reply.grantedTtl == 0 && reply.ttl == -1 {
                    text.line("lease \(LeaseID.text(reply.id)) already expired")
                    return
                }
                text.add(
                    "lease \(LeaseID.text(reply.id)) granted with TTL(\(reply.grantedTtl)s), remaining(\(reply.ttl)s)"
                )
                if keys {
                    text.add(", attached keys([")
                    for (i, key) in reply.keys.enumerated() {
                        if i > 0 { text.add(" ") }
                        text.add(key)
                    }
                    text.add("])")
                }
                text.line("")
            }
        )
    }
}
