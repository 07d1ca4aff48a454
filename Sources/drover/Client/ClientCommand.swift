import ArgumentParser
import DroverClient

/// A command that asks a server: etcdctl's, by its names, flags and forms of output.
protocol ClientCommand: AsyncParsableCommand {
    var client: ClientOptions { get }
    /// What the command does, with a connection.
    func run(_ session: ClientSession) async throws
}

extension ClientCommand {
    func run() async throws {
        FileHandles.endsWithReader.store(true, ordering: .relaxed)
        try await ClientFailures.reported {
            let configuration = try client.configuration(try client.endpointList())
            let session = try await ClientSession(configuration, client)
            try await run(session)
            await session.close()
        }
    }
}
