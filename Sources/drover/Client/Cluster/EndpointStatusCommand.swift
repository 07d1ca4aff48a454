import ArgumentParser
import EtcdAPI

/// `drover endpoint status`.
struct EndpointStatusCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(commandName: "status", abstract: "Version, size and revision.")

    @OptionGroup var client: ClientOptions
    @OptionGroup var set: EndpointSet

    private static let titles = [
        "Endpoint", "ID", "Version", "DB Size", "Is Leader", "Is Learner", "Raft Term", "Raft Index",
        "Raft Applied Index", "Errors",
    ]

    func run() async throws {
        let results = try await ClientFailures.reported {
            try await set.each(client) { _, session -> PBStatusResponse in
                try await session.call("Maintenance/Status", PBStatusRequest())
            }
        }
        let answers = results.compactMap { entry in (try? entry.result.get()).map { ("\(entry.endpoint)", $0) } }
        let rows = answers.map { endpoint, status in
            [
                endpoint, MemberID.text(status.header.memberID), status.version, GoText.size(status.dbSize),
                status.leader == status.header.memberID ? "true" : "false", status.isLearner ? "true" : "false",
                "\(status.raftTerm)", "\(status.raftIndex)", "\(status.raftAppliedIndex)",
                status.errors.joined(separator: ", "),
            ]
        }
        try ClientFailures.reported {
            try Printer(form: client.writeOut, isHex: client.hex).show(
                PBStatusResponse(),
                fields: { text in
                    for (endpoint, status) in answers {
                        text.header(status.header)
                        text.quoted("Version", status.version)
                        text.field("DBSize", status.dbSize)
                        text.field("Leader", status.leader)
                        text.field("IsLearner", status.isLearner)
                        text.field("RaftIndex", status.raftIndex)
                        text.field("RaftTerm", status.raftTerm)
                        text.field("RaftAppliedIndex", status.raftAppliedIndex)
                        text.field(
                            "Errors",
                            "[\(status.errors.map { GoText.quoted(Array($0.utf8)) }.joined(separator: " "))]"
                        )
                        text.quoted("Endpoint", endpoint)
                        text.blank()
                    }
                },
                table: { TableText.table(Self.titles, rows) },
                json: {
                    let entries = try answers.map {
                        "{\"Endpoint\":\(GoJSON.string($0)),\"Status\":\(try GoJSON.text($1))}"
                    }
                    return "[\(entries.joined(separator: ","))]"
                },
                simple: { for row in rows { $0.line(row.joined(separator: ", ")) } }
            )
        }
        try EndpointSet.report("status", results)
    }
}
