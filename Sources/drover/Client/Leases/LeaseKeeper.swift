import DroverClient
import EtcdAPI

/// Keeps a lease alive through one stream of renewals.
struct LeaseKeeper: Sendable {
    let id: Int64
    let client: EtcdClient

    /// Renews the lease at each third of its life until it ends or the task is cancelled.
    ///
    /// - Parameter onRenewal: what to do with each answer.
    /// - Returns: once the lease is gone.
    func keepAlive(onRenewal: (PBLeaseKeepAliveResponse) throws -> Bool) async throws {
        let call = try await client.open("/etcdserverpb.Lease/LeaseKeepAlive")
        var messages = call.messages.makeAsyncIterator()
        while !Task.isCancelled {
            var request = PBLeaseKeepAliveRequest()
            request.id = id
            try await call.send(request)
            guard let bytes = try await messages.next() else { break }
            let reply = try PBLeaseKeepAliveResponse(serializedBytes: Array(bytes.readableBytesView))
            if reply.ttl <= 0 { break }
            guard try onRenewal(reply) else { break }
            try await Task.sleep(nanoseconds: UInt64(max(1, reply.ttl) * 1_000_000_000 / 3))
        }
        await call.cancel()
    }
}
