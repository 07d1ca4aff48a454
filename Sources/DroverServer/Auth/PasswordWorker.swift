import Drover
import Logging
import NIOCore
import NIOPosix
import Synchronization

/// Threads of their own for passwords: a hash takes tens of milliseconds and 16 MiB, which no event loop must wait for and
/// no crowd of clients may multiply.
///
/// Connections take turns, so that one which guesses does not keep others from logging in, and what administrators ask for
/// has places that nobody else can take.
final class PasswordWorker: Sendable {
    /// Passwords that may wait, in all and of one connection; above it clients are told to come back.
    private static let most = 1_024
    private static let mostOfConnection = 64
    /// Places above ``most`` for new passwords, which administrators alone may set.
    private static let administrators = 16

    typealias Job = @Sendable (PasswordHash) -> Void

    private struct Waiting {
        var jobs: [ObjectIdentifier: CircularBuffer<(end: CallEnd, job: Job)>] = [:]
        /// Connections with jobs, each once.
        var turns = CircularBuffer<ObjectIdentifier>()
        var count = 0

        mutating func add(_ job: @escaping Job, _ end: CallEnd, of connection: ObjectIdentifier) {
            if jobs[connection] == nil { turns.append(connection) }
            jobs[connection, default: .init()].append((end, job))
            count += 1
        }

        mutating func next() -> (end: CallEnd, job: Job)? {
            guard let connection = turns.popFirst() else { return nil }
            count -= 1
            let next = jobs[connection]!.removeFirst()
            if jobs[connection]!.isEmpty { jobs[connection] = nil } else { turns.append(connection) }
            return next
        }
    }

    private let waiting = Mutex(Waiting())
    private let refusals = LogThrottle()
    private let pool = NIOThreadPool(numberOfThreads: max(1, System.coreCount / 2))
    private let hasher = PasswordHash(remembering: PasswordMemory())

    init() { pool.start() }

    /// Does `job` on a thread, unless its call is over by then, or says why not.
    func submit(
        of connection: ObjectIdentifier,
        _ end: CallEnd,
        isAdministrator: Bool = false,
        _ job: @escaping Job
    ) -> DroverError? {
        let isTaken = waiting.withLock { waiting in
            let most = Self.most + (isAdministrator ? Self.administrators : 0)
            let own = waiting.jobs[connection]?.count ?? 0
            guard waiting.count < most, isAdministrator || own < Self.mostOfConnection else { return false }
            waiting.add(job, end, of: connection)
            return true
        }
        if !isTaken { return DroverError(.tooManyRequests) }
        let hasher = hasher
        pool.submit { state in
            guard let next = self.waiting.withLock({ $0.next() }) else { return }
            // After the server has stopped nobody waits for it.
            if state == .active && !next.end.isSet { next.job(hasher) }
        }
        return nil
    }

    /// Logs that passwords are refused: the first at once, more of them together, so that guessing is seen and floods no log.
    func refused(_ user: String, _ logger: Logger) {
        guard let count = refusals.admit() else { return }
        logger.warning(
            "a password was refused",
            metadata: ["user": "\(Self.shown(user))", "since the last warning": "\(count)"]
        )
    }

    /// A name that a client has sent, which may be long and of any characters.
    private static func shown(_ name: String) -> String {
        let plain = name.unicodeScalars.prefix(128).map { scalar in
            let isControl = [.control, .format, .lineSeparator, .paragraphSeparator].contains(
                scalar.properties.generalCategory
            )
            return isControl ? "?" : Character(scalar)
        }
        return String(plain)
    }

    /// Ends the threads.
    func stop() { pool.shutdownGracefully { _ in } }
}
