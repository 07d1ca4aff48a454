import Drover
import NIOPosix
import Synchronization

/// One thread for passwords: a hash takes tens of milliseconds and 16 MiB, which no event loop must wait for and no crowd
/// of clients may multiply.
final class PasswordWorker: Sendable {
    /// Passwords that may wait; above it clients are told to come back.
    private static let most = 64

    private let waiting = Atomic(0)
    private let pool = NIOThreadPool(numberOfThreads: 1)
    private let hasher = PasswordHash()

    init() { pool.start() }

    /// Does `job` on the thread, or says why not.
    func submit(_ job: @escaping @Sendable (PasswordHash) -> Void) -> DroverError? {
        if waiting.add(1, ordering: .relaxed).newValue > Self.most {
            waiting.subtract(1, ordering: .relaxed)
            return DroverError(.tooManyRequests)
        }
        let hasher = hasher
        pool.submit { state in
            self.waiting.subtract(1, ordering: .relaxed)
            // After the server has stopped nobody waits for it.
            if state == .active { job(hasher) }
        }
        return nil
    }

    /// Ends the thread.
    func stop() { pool.shutdownGracefully { _ in } }
}
