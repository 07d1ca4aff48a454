import ArgumentParser
import EtcdAPI

/// `drover defrag`.
struct DefragCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "defrag",
        abstract: "Give the room back that deleted data had."
    )

    @OptionGroup var client: ClientOptions
    @OptionGroup var set: EndpointSet

    func run() async throws {
        let results = try await ClientFailures.reported {
            try await set.each(client) { _, session -> PBDefragmentResponse in
                try await session.work("Maintenance/Defragment", PBDefragmentRequest())
            }
        }
        for (endpoint, result) in results {
            switch result {
            case .success: FileHandles.standardOutput("Finished defragmenting etcd member[\(endpoint)]\n")
            case .failure(let error):
                FileHandles.standardError(
                    "Failed to defragment etcd member[\(endpoint)] (\(EndpointSet.text(error)))\n"
                )
            }
        }
        if results.contains(where: { (try? $0.result.get()) == nil }) { throw ExitCode(1) }
    }
}
