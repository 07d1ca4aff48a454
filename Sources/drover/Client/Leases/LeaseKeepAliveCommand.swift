import ArgumentParser
import EtcdAPI
import Synchronization

/// `drover lease keep-alive`.
struct LeaseKeepAliveCommand: ClientCommand {
    static let configuration = CommandConfiguration(
        commandName: "keep-alive",
        abstract: "Keep a lease alive for as long as the command runs."
    )

    @OptionGroup var client: ClientOptions

    @Argument(help: "The lease, in hexadecimal.")
    var arguments: [String] = []

    @Flag(help: "Renew it once, and end.")
    var once = false

    func run(_ session: ClientSession) async throws {
        guard arguments.count == 1 else {
            throw CommandFailure.badArguments("lease keep-alive command needs lease ID as argument")
        }
        let keeper = LeaseKeeper(id: try LeaseID.parsed(arguments[0]), session: session)
        let isRenewed = Atomic<Bool>(false)
        let once = once
        try await keeper.keepAlive { reply in
            isRenewed.store(true, ordering: .relaxed)
            try session.printer.show(
                reply,
                fields: {
                    $0.header(reply.header)
                    $0.field("ID", reply.id)
                    $0.field("TTL", reply.ttl)
                },
                json: { try GoJSON.flat(reply.header, "\"ID\":\(reply.id),\"TTL\":\(reply.ttl)") },
                simple: { $0.line("lease \(LeaseID.text(reply.id)) keepalived with TTL(\(reply.ttl))") }
            )
            return !once
        }
        if once {
            if !isRenewed.load(ordering: .relaxed) {
                throw CommandFailure.badConnection("etcdserver: requested lease not found")
            }
        } else {
            FileHandles.standardOutput("lease \(LeaseID.text(keeper.id)) expired or revoked.\n")
        }
    }
}
