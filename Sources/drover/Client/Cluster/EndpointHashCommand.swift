import ArgumentParser
import EtcdAPI

/// `drover endpoint hashkv`.
struct EndpointHashCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "hashkv",
        abstract: "A checksum of the history, which is the same on servers with the same history."
    )

    @OptionGroup var client: ClientOptions
    @OptionGroup var set: EndpointSet

    @Option(help: "The newest revision in it; 0 is all.")
    var rev: Int64 = 0

    func run() async throws {
        var request = PBHashKVRequest()
        request.revision = rev
        let results = try await ClientFailures.reported {
            try await set.each(client) { [request] _, session -> PBHashKVResponse in
                try await session.call("Maintenance/HashKV", request)
            }
        }
        let answers = results.compactMap { entry in (try? entry.result.get()).map { ("\(entry.endpoint)", $0) } }
        let rows = answers.map { [$0, "\($1.hash)"] }
        try ClientFailures.reported {
            try Printer(form: client.writeOut, isHex: client.hex).show(
                PBHashKVResponse(),
                fields: { text in
                    for (endpoint, hash) in answers {
                        text.header(hash.header)
                        text.quoted("Endpoint", endpoint)
                        text.field("Hash", hash.hash)
                        text.blank()
                    }
                },
                table: { TableText.table(["Endpoint", "Hash"], rows) },
                json: {
                    let entries = try answers.map {
                        "{\"Endpoint\":\(GoJSON.string($0)),\"HashKV\":\(try GoJSON.text($1))}"
                    }
                    return "[\(entries.joined(separator: ","))]"
                },
                simple: { for row in rows { $0.line(row.joined(separator: ", ")) } }
            )
        }
        try EndpointSet.report("hash", results)
    }
}
