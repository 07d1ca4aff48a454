import ArgumentParser
import EtcdAPI

/// `drover lease list`.
struct LeaseListCommand: ClientCommand {
    static let configuration = CommandConfiguration(commandName: "list", abstract: "All leases that live.")

    @OptionGroup var client: ClientOptions

    func run(_ session: ClientSession) async throws {
        let reply: PBLeaseLeasesResponse = try await session.call("Lease/LeaseLeases", PBLeaseLeasesRequest())
        try session.printer.show(
            reply,
            fields: {
                $0.header(reply.header)
                for lease in reply.leases { $0.field("ID", lease.id) }
            },
            json: {
                let leases = reply.leases.map { "{\"id\":\($0.id)}" }.joined(separator: ",")
                return try GoJSON.flat(reply.header, "\"leases\":[\(leases)]")
            },
            simple: {
                $0.line("found \(reply.leases.count) leases")
                for lease in reply.leases { $0.line(LeaseID.text(lease.id)) }
            }
        )
    }
}
