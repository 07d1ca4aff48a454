import ArgumentParser
import Drover
import DroverClient
import EtcdAPI

/// `drover endpoint health`.
struct EndpointHealthCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(commandName: "health", abstract: "Whether each server answers.")

    @OptionGroup var client: ClientOptions
    @OptionGroup var set: EndpointSet

    private struct Health: Sendable {
        var isHealthy = false
        var took = ""
        var error = ""
    }

    func run() async throws {
        let results = try await ClientFailures.reported {
            try await set.each(client) { _, session in try await Self.look(session) }
        }
        let answers = results.map { endpoint, result -> (endpoint: String, health: Health) in
            switch result {
            case .success(let health): ("\(endpoint)", health)
            case .failure(let error): ("\(endpoint)", Health(error: EndpointSet.text(error)))
            }
        }
        let rows = answers.map { [$0, $1.isHealthy ? "true" : "false", $1.took, $1.error] }
        try ClientFailures.reported {
            try Printer(form: client.writeOut, isHex: client.hex).show(
                PBStatusResponse(),
                fields: { text in
                    for (endpoint, health) in answers {
                        text.quoted("Endpoint", endpoint)
                        text.field("Health", health.isHealthy)
                        text.field("Took", health.took)
                        text.field("Error", health.error)
                        text.blank()
                    }
                },
                table: { TableText.table(["Endpoint", "Health", "Took", "Error"], rows) },
                json: {
                    let entries = answers.map { endpoint, health in
                        let error = health.error.isEmpty ? "" : ",\"error\":\(GoJSON.string(health.error))"
                        return
                            "{\"endpoint\":\(GoJSON.string(endpoint)),\"health\":\(health.isHealthy),\"took\":\(GoJSON.string(health.took))\(error)}"
                    }
                    return "[\(entries.joined(separator: ","))]"
                },
                simple: { text in
                    for (endpoint, health) in answers {
                        text.line(
                            health.isHealthy
                                ? "\(endpoint) is healthy: successfully committed proposal: took = \(health.took)"
                                : "\(endpoint) is unhealthy: failed to commit proposal: \(health.error)"
                        )
                    }
                }
            )
        }
        if answers.contains(where: { !$0.health.isHealthy }) {
            FileHandles.standardError("Error: unhealthy cluster\n")
            throw ExitCode(1)
        }
    }

    /// A read that must see the newest revision, and the alarms.
    private static func look(_ session: ClientSession) async throws -> Health {
        var request = PBRangeRequest()
        request.key = .init("health".utf8)
        let start = MonotonicClock.nanoseconds()
        do {
            let _: PBRangeResponse = try await session.call("KV/Range", request)
        } catch let error as ClientError where error.message == "etcdserver: permission denied" {
            // It was answered, in the same order as all else.
        }
        var health = Health(isHealthy: true, took: GoText.duration(MonotonicClock.nanoseconds() - start))
        if let reply: PBAlarmResponse = try? await session.call("Maintenance/Alarm", PBAlarmRequest()),
            !reply.alarms.isEmpty
        {
            health.isHealthy = false
            health.error = "Active Alarm(s): " + reply.alarms.map { AlarmText.name($0.alarm) }.joined(separator: ", ")
        }
        return health
    }
}
