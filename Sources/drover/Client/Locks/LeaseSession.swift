import DroverClient
import EtcdAPI

#if canImport(Glibc)
    import Glibc
#elseif canImport(Musl)
    import Musl
#elseif canImport(Darwin)
    import Darwin
#endif

/// A lease that is kept alive for as long as a lock or an election is held, and revoked afterwards.
struct LeaseSession: Sendable {
    private enum Event: Sendable {
        case acquired([String: String])
        case failed(any Error)
        case lost
        case signalled
        case ended(Int32)
    }

    let session: ClientSession
    /// The lease's time to live.
    let seconds: Int64

    /// Acquires something with a lease of its own, and holds it until the process is asked to end or, where a program is
    /// given, until that has ended: a signal is passed on to it then.
    ///
    /// - Parameters:
    ///   - acquire: with the lease; returns what a program is told by its environment.
    ///   - program: what to run meanwhile, with its arguments; none waits for a signal.
    /// - Returns: the program's status, else 0.
    /// - Throws: ``CommandFailure`` when the lease is lost while there is no program, or what `acquire` throws.
    func hold(
        _ program: [String] = [],
        _ acquire: @escaping @Sendable (Int64) async throws -> [String: String]
    ) async throws -> Int32 {
        var request = PBLeaseGrantRequest()
        request.ttl = seconds
        let lease: PBLeaseGrantResponse = try await session.call("Lease/LeaseGrant", request)
        let (events, happened) = AsyncStream<Event>.makeStream()
        let keeper = Task {
            let keeper = LeaseKeeper(id: lease.id, session: session)
            // The keeper has tried until the lease's time was over.
            try? await keeper.keepAlive(seconds: lease.ttl) { _ in true }
            happened.yield(.lost)
        }
        let work = Task {
            do {
                happened.yield(.acquired(try await acquire(lease.id)))
            } catch {
                happened.yield(.failed(error))
            }
        }
        // Waits for a signal that may never come, and ends with the process.
        Task.detached {
            await Signals.waitForTermination()
            happened.yield(.signalled)
        }
        let result = await Self.end(program, events, happened)
        work.cancel()
        keeper.cancel()
        await revoke(lease.id)
        return try result.get()
    }

    private static func end(
        _ program: [String],
        _ events: AsyncStream<Event>,
        _ happened: AsyncStream<Event>.Continuation
    ) async -> Result<Int32, any Error> {
        var process: pid_t = 0
        var isHeld = false
        for await event in events {
            switch event {
            case .acquired(let environment):
                isHeld = true
                if program.isEmpty { continue }
                do {
                    let started = try Program.start(program, environment: environment)
                    process = started
                    Signals.passOn(to: started)
                    DetachedThread.start { happened.yield(.ended(Program.wait(started))) }
                } catch {
                    return .failure(error)
                }
            case .failed(let error): return .failure(error)
            case .ended(let status):
                Signals.passOn(to: 0)
                return .success(status)
            case .lost:
                // What runs is not ended halfway.
                guard process > 0 else { return .failure(CommandFailure.failed("session expired")) }
                FileHandles.standardError("the session has expired while the command goes on\n")
            case .signalled:
                if !isHeld { return .failure(CommandFailure.failed("context canceled")) }
                guard process > 0 else { return .success(0) }
                kill(process, SIGTERM)
            }
        }
        return .success(0)
    }

    /// Others need not wait for the lease's end, also where the connection has been lost meanwhile.
    private func revoke(_ id: Int64) async {
        var request = PBLeaseRevokeRequest()
        request.id = id
        let reply: PBLeaseRevokeResponse? = try? await session.call("Lease/LeaseRevoke", request)
        if reply != nil { return }
        guard let other = try? await session.anew() else { return }
        let _: PBLeaseRevokeResponse? = try? await other.call("Lease/LeaseRevoke", request)
        await other.close()
    }

    /// Prints a key that was made.
    static func show(_ key: [UInt8], _ session: ClientSession) async throws {
        var request = PBRangeRequest()
        request.key = .init(key)
        let reply: PBRangeResponse = try await session.call("KV/Range", request)
        guard !reply.kvs.isEmpty else { throw CommandFailure.failed("no lock ownership") }
        try session.printer.show(reply)
    }
}
