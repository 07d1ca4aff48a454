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
/// A server that restarts is waited for; one that stays away is asked once by each read, which then fails, so that no
/// read waits for another.
public final class Availability: Sendable {
    private static let longestPause: UInt32 = 200_000

    /// When it was first found to be away, in nanoseconds of the monotonic clock; 0 while it is there.
    private let awaySince = Atomic<Int64>(0)
    private let patience: Int64

    /// - Parameter patience: seconds that reads wait for a server that has gone away.
    public init(patience: Double = 5) {
        self.patience = Int64(patience * 1e9)
    }

    /// Runs `body`, again after a pause when it fails because the server is away.
    public func run<R>(_ body: () throws -> R) throws -> R {
        var pause: UInt32 = 10_000
        while true {
            do {
                let result = try body()
                if awaySince.load(ordering: .relaxed) != 0 { awaySince.store(0, ordering: .relaxed) }
                return result
            } catch let failure as DriverFailure where failure.kind == .unavailable {
                let now = Monotonic.now()
                let since = awaySince.compareExchange(expected: 0, desired: now, ordering: .relaxed)
                if now - (since.exchanged ? now : since.original) > patience { throw failure }
                usleep(pause)
                pause = min(pause * 2, Self.longestPause)
            }
        }
    }
}
