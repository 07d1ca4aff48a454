import Synchronization

#if canImport(Glibc)
    import Glibc
#elseif canImport(Musl)
    import Musl
#elseif canImport(Darwin)
    import Darwin
#endif

/// Whether a database server could be reached lately, for its driver's readers.
///
/// A server that restarts is waited for; one that stays away is asked by one read at a time, while others fail with what
/// was found last, so that no read waits for another.
public final class Availability: Sendable {
    private static let longestPause: UInt32 = 200_000
    /// How long what was found counts, at least.
    private static let freshNanoseconds: Int64 = 10_000_000_000

    /// When it was first found to be away, in nanoseconds of the monotonic clock; 0 while it is there.
    private let awaySince = Atomic<Int64>(0)
    private let patience: Int64
    /// Whether a read is finding out if a server that has stayed away is there again.
    private let isAsking = Atomic<Bool>(false)
    private let lastFailure = Mutex<(failure: DriverFailure, at: Int64)?>(nil)

    private let turns = Atomic<Int>(0)

    /// How often the link has given its connection up. A connection made before the last time may be to a server that has hung:
    /// it is not used again.
    public var turn: Int { turns.load(ordering: .relaxed) }

    /// The connections that there are now are not to be used again.
    public func makeTurn() { turns.wrappingAdd(1, ordering: .relaxed) }

    /// - Parameter patience: seconds that reads wait for a server that has gone away.
    public init(patience: Double = 5) {
        self.patience = Int64(patience * 1e9)
    }

    /// Runs `body`, again after a pause when it fails because the server is away, or because another session was in the
    /// way: so Galera says that a read could not wait for what other nodes have committed.
    public func run<R>(_ body: () throws -> R) throws -> R {
        let begun = Monotonic.now()
        let away = awaySince.load(ordering: .relaxed)
        if away == 0 || begun - away <= patience { return try keepTrying(body, since: begun) }
        if isAsking.exchange(true, ordering: .acquiring) {
            // What was found long ago says nothing of now.
            if let last = lastFailure.withLock({ $0 }), begun - last.at < max(2 * patience, Self.freshNanoseconds) {
                throw last.failure
            }
            return try keepTrying(body, since: begun)
        }
        defer { isAsking.store(false, ordering: .releasing) }
        return try keepTrying(body, since: begun)
    }

    private func keepTrying<R>(_ body: () throws -> R, since begun: Int64) throws -> R {
        var pause: UInt32 = 10_000
        while true {
            do {
                let result = try body()
                if awaySince.load(ordering: .relaxed) != 0 { awaySince.store(0, ordering: .relaxed) }
                return result
            } catch let failure as DriverFailure where failure.kind == .unavailable {
                let now = Monotonic.now()
                let since = awaySince.compareExchange(expected: 0, desired: now, ordering: .relaxed)
                // Others may be well served meanwhile: what fails here alone is not tried for ever either.
                if now - (since.exchanged ? now : since.original) > patience || now - begun > patience {
                    lastFailure.withLock { $0 = (failure, now) }
                    throw failure
                }
                usleep(pause)
                pause = min(pause * 2, Self.longestPause)
            } catch let failure as DriverFailure where failure.kind == .conflict {
                if Monotonic.now() - begun > patience { throw failure }
                usleep(pause)
                pause = min(pause * 2, Self.longestPause)
            }
        }
    }
}
