import DroverClient
import EtcdAPI

/// A lease that is kept alive for as long as a lock or an election is held, and revoked afterwards.
enum LeaseSession {
    /// Runs `body` with a lease.
    ///
    /// - Returns: what `body` returned; nil when the process was asked to end.
    /// - Throws: ``CommandFailure`` when the lease is lost, or what `body` throws.
    static func with<R: Sendable>(
        _ session: ClientSession,
        seconds: Int64,
        _ body: @escaping @Sendable (Int64) async throws -> R
    ) async throws -> R? {
        var request = PBLeaseGrantRequest()
        request.ttl = seconds
        let lease: PBLeaseGrantResponse = try await session.call("Lease/LeaseGrant", request)
        let id = lease.id
        let work = Task {
            try await withThrowingTaskGroup(of: R.self) { group in
                group.addTask { try await body(id) }
                group.addTask {
                    try await LeaseKeeper(id: id, client: session.client).keepAlive { _ in true }
                    try Task.checkCancellation()
                    throw CommandFailure.interrupted("the session's lease was lost")
                }
                defer { group.cancelAll() }
                return try await group.next()!
            }
        }
        // Waits for a signal that may never come, and ends with the process.
        Task.detached {
            await Signals.waitForTermination()
            work.cancel()
        }
        let result = await work.result
        var revocation = PBLeaseRevokeRequest()
        revocation.id = id
        let _: PBLeaseRevokeResponse? = try? await session.call("Lease/LeaseRevoke", revocation)
        return work.isCancelled ? nil : try result.get()
    }

    /// Prints a key that was made.
    static func show(_ key: [UInt8], _ session: ClientSession) async throws {
        var request = PBRangeRequest()
        request.key = .init(key)
        let reply: PBRangeResponse = try await session.call("KV/Range", request)
        guard !reply.kvs.isEmpty else { throw CommandFailure.failed("no lock ownership") }
        try session.printer.show(reply)
    }

    /// Waits until the task is cancelled, which a signal does.
    static func waitForEnd() async throws {
        while true { try await Task.sleep(nanoseconds: 3_600_000_000_000) }
    }
}
