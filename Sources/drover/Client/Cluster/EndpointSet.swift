import ArgumentParser
import DroverClient
import EtcdAPI

/// The servers that the commands of `endpoint` ask, each by itself.
struct EndpointSet: ParsableArguments {
    @Flag(help: "All members that the first endpoint knows, rather than the endpoints given.")
    var cluster = false

    /// Asks each server, and goes on when one does not answer.
    func each<R: Sendable>(
        _ client: ClientOptions,
        _ body: (Endpoint, ClientSession) async throws -> R
    ) async throws -> [(endpoint: Endpoint, result: Result<R, any Error>)] {
        var endpoints = try client.endpointList()
        // Once, since it may ask for a password.
        var configuration = try client.configuration(endpoints)
        if cluster {
            let any = try await ClientSession(configuration, client)
            let reply: PBMemberListResponse = try await any.call("Cluster/MemberList", PBMemberListRequest())
            await any.close()
            endpoints = try reply.members.flatMap(\.clientUrls).map { try Endpoint($0) }
        }
        var results: [(endpoint: Endpoint, result: Result<R, any Error>)] = []
        for endpoint in endpoints {
            do {
                configuration.endpoints = [endpoint]
                let session = try await ClientSession(configuration, client)
                let result = try await body(endpoint, session)
                await session.close()
                results.append((endpoint, .success(result)))
            } catch {
                results.append((endpoint, .failure(error)))
            }
        }
        return results
    }

    static func text(_ error: any Error) -> String {
        switch error {
        case let error as ClientError: error.message
        case let failure as CommandFailure: failure.message
        default: "\(error)"
        }
    }

    /// Says which servers gave no answer.
    ///
    /// - Throws: a status, when there is one.
    static func report<R>(
        _ what: String,
        _ results: [(endpoint: Endpoint, result: Result<R, any Error>)]
    ) throws {
        var hasFailed = false
        for case (let endpoint, .failure(let error)) in results {
            FileHandles.standardError("Failed to get the \(what) of endpoint \(endpoint) (\(text(error)))\n")
            hasFailed = true
        }
        if hasFailed { throw ExitCode(1) }
    }
}
