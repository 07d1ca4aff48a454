import DroverClient
import EtcdAPI
import Synchronization

/// Keeps a lease alive, on another connection where one is lost, for as long as it can have time left.
struct LeaseKeeper: Sendable {
    let id: Int64
    let session: ClientSession

    /// Renews the lease at each third of its life until it ends, its time is over by this machine's clock, or the task is
    /// cancelled.
    ///
    /// - Parameters:
    ///   - seconds: what it has left, at most; nil when that is not known before the first answer.
    ///   - onRenewal: what to do with each answer; false is enough.
    /// - Returns: once the lease is gone.
    /// - Throws: ``ClientError`` when there was no answer to the first renewal of a lease of which nothing is known.
    func keepAlive(
        seconds: Int64? = nil,
        _ onRenewal: @escaping @Sendable (PBLeaseKeepAliveResponse) throws -> Bool
    ) async throws {
        let deadline = Deadline(seconds)
        try await withThrowingTaskGroup(of: Void.self) { group in
            group.addTask { try await renew(deadline, onRenewal) }
            group.addTask { try await deadline.wait() }
            defer { group.cancelAll() }
            try await group.next()
        }
    }

    private func renew(
        _ deadline: Deadline,
        _ onRenewal: (PBLeaseKeepAliveResponse) throws -> Bool
    ) async throws {
        var own: ClientSession?
        while true {
            do {
                try await renew(own ?? session, deadline, onRenewal)
                await own?.close()
                return
            } catch let error as ClientError {
                if !deadline.isKnown || Task.isCancelled { throw error }
                await own?.close()
                own = try await session.reconnected()
            }
        }
    }

    private func renew(
        _ session: ClientSession,
        _ deadline: Deadline,
        _ onRenewal: (PBLeaseKeepAliveResponse) throws -> Bool
    ) async throws {
        let call = try await session.client.open("/etcdserverpb.Lease/LeaseKeepAlive")
        do {
            try await renew(call, deadline, onRenewal)
        } catch {
            await call.cancel()
            throw error
        }
        await call.cancel()
    }

    private func renew(
        _ call: EtcdCall,
        _ deadline: Deadline,
        _ onRenewal: (PBLeaseKeepAliveResponse) throws -> Bool
    ) async throws {
        let messages = call.messages.makeAsyncIterator()
        while !Task.isCancelled {
            var request = PBLeaseKeepAliveRequest()
            request.id = id
            let sent = ContinuousClock.now
            try await call.send(request)
            guard let bytes = try await messages.next() else {
                if Task.isCancelled { break }
                throw ClientError.unavailable("the server has ended the stream")
            }
            let reply = try PBLeaseKeepAliveResponse(serializedBytes: Array(bytes.readableBytesView))
            if reply.ttl <= 0 { break }
            deadline.set(sent + .seconds(reply.ttl))
            guard try onRenewal(reply) else { break }
            try await Task.sleep(nanoseconds: UInt64(clamping: min(reply.ttl, 1 << 32) * 1_000_000_000 / 3))
        }
    }

    /// When the lease is over at the latest, as far as this side can know.
    private final class Deadline: Sendable {
        private let moment: Mutex<ContinuousClock.Instant?>

        init(_ seconds: Int64?) {
            moment = Mutex(seconds.map { .now + .seconds($0) })
        }

        var isKnown: Bool { moment.withLock { $0 != nil } }

        func set(_ new: ContinuousClock.Instant) { moment.withLock { $0 = new } }

        func wait() async throws {
            while true {
                let next = moment.withLock { $0 } ?? .now + .seconds(1)
                if isKnown && next <= .now { return }
                try await Task.sleep(until: min(next, .now + .seconds(1)), clock: .continuous)
            }
        }
    }
}
