import Drover
import Logging
import Synchronization

#if canImport(Glibc)
    import Glibc
#elseif canImport(Musl)
    import Musl
#elseif canImport(Darwin)
    import Darwin
#endif

/// Has PostgreSQL take away what deleted keys leave behind, before its autovacuum comes by.
///
/// A scan steps over the index's entries of deleted rows until a VACUUM has taken them: a page beside a million deleted keys took
/// 2.3 times as long. Autovacuum waits for a minute, and in a large table for a fifth of it to be dead. Nobody waits for this: it
/// has a thread and a connection of its own for as long as it takes.
final class PostgreSQLCleaner: Sendable {
    private struct State {
        /// Keys that were deleted here since the tables were cleaned last.
        var deletions = 0
        var least = PostgreSQLCleaner.fewest
        var isRunning = false
        /// Whether the engine knows no VACUUM.
        var isRefused = false
        var isClosed = false
    }

    /// Deletions before the tables are cleaned: of a small table, and of a large one's rows one in so many.
    private static let fewest = 50_000
    private static let share = 50
    /// What is deleted together is cleaned together, when most reads of before have ended: nanoseconds.
    private static let gathering: Int64 = 1_000_000_000
    /// How long after one that failed, or could not take most of it, the next may begin, in nanoseconds; twice as long each
    /// time, up to the other.
    private static let firstPause: Int64 = 10_000_000_000
    private static let lastPause: Int64 = 640_000_000_000

    /// The pauses keep it from taking the disk and a core for itself; it ends soon after its store does. A lock that somebody
    /// has is not waited for. What is less than a fiftieth of the table would be left in the index otherwise, and the tables'
    /// ends are not given back, which would lock readers out.
    private static let settings = [
        "SET vacuum_cost_delay = '1ms'", "SET vacuum_cost_limit = 1000",
    ]
    /// Not every platform's server can.
    private static let endsWithClient =
        "SELECT set_config(name, '1s', false) FROM pg_settings WHERE name = 'client_connection_check_interval'"
    private static let clean =
        "VACUUM (SKIP_LOCKED, INDEX_CLEANUP TRUE, TRUNCATE FALSE) drover_current, drover_tombstone"
    private static let rows =
        "SELECT greatest(max(reltuples), 0)::int8 FROM pg_class WHERE oid IN ('drover_current'::regclass, 'drover_tombstone'::regclass)"
    private static let dead =
        "SELECT pg_stat_get_dead_tuples('drover_current'::regclass) + pg_stat_get_dead_tuples('drover_tombstone'::regclass)"
    /// Syntax, a feature or a setting that engines lack which only speak PostgreSQL's protocol; they clean up by themselves.
    private static let unknown = ["42601", "0A000", "42704", "42883"].map(PGFailure.code)

    private let state = Mutex(State())

    /// A batch, or a step of the sweep, has deleted so many keys.
    func didDelete(_ keys: Int, _ driver: PostgreSQLDriver) {
        if keys == 0 { return }
        let begins = state.withLock { state in
            state.deletions += keys
            guard state.deletions >= state.least, !state.isRunning, !state.isRefused, !state.isClosed else {
                return false
            }
            state.isRunning = true
            return true
        }
        // Where there is no thread to be had the next deletion tries again.
        if begins && !WorkerThread.detached(name: "drover-clean", body: { self.run(driver) }) {
            state.withLock { $0.isRunning = false }
        }
    }

    /// Lets what runs end soon, and begins no more.
    func close() { state.withLock { $0.isClosed = true } }

    /// Whether it has the tables, or will have them soon.
    var isRunning: Bool { state.withLock { $0.isRunning } }

    private var isClosed: Bool { state.withLock { $0.isClosed } }

    private func run(_ driver: PostgreSQLDriver) {
        var pause = Self.firstPause
        while rest(Self.gathering) {
            do {
                if try cleanOnce(driver) {
                    if ends() { return }
                    pause = Self.firstPause
                    continue
                }
            } catch {
                driver.logger.debug("deleted rows could not be cleaned up", metadata: ["reason": "\(error)"])
                if let code = (error as? DriverFailure)?.engineCode, Self.unknown.contains(code) {
                    state.withLock { $0.isRefused = true }
                    break
                }
            }
            if !rest(pause) { break }
            pause = min(2 * pause, Self.lastPause)
        }
        state.withLock { $0.isRunning = false }
    }

    /// Whether there is nothing to do any more; from then on another is begun when there is.
    private func ends() -> Bool {
        state.withLock { state in
            state.isRunning = state.deletions >= state.least
            return !state.isRunning
        }
    }

    /// Waits; false when the store has ended.
    private func rest(_ nanoseconds: Int64) -> Bool {
        let end = MonotonicClock.nanoseconds() + nanoseconds
        while MonotonicClock.nanoseconds() < end {
            if isClosed { return false }
            usleep(100_000)
        }
        return !isClosed
    }

    /// Cleans the tables where enough of them is deleted; false where it could not take most of that.
    private func cleanOnce(_ driver: PostgreSQLDriver) throws -> Bool {
        let connection = try driver.connect(reads: false)
        for setting in Self.settings { _ = try connection.query(setting) }
        do { _ = try connection.query(Self.endsWithClient) } catch  where !connection.isBroken {}
        let least = max(Self.fewest, Int(try connection.query(Self.rows)[0].integer(0, 0)) / Self.share)
        let taken = state.withLock { state in
            state.least = least
            if state.deletions < least { return 0 }
            defer { state.deletions = 0 }
            return state.deletions
        }
        if taken == 0 { return true }
        var isDone = false
        defer { if !isDone { state.withLock { $0.deletions += taken } } }
        try connection.leave(Self.clean)
        while try !connection.hasAnswered() {
            // One to a server that has been left since will not answer.
            if !rest(100_000_000) || !connection.isUsable(driver.availability) { return false }
        }
        try connection.drain()
        // Somebody had the lock, or reads of before still need what was deleted.
        if connection.hasWarning { return false }
        if Int(try connection.query(Self.dead)[0].integer(0, 0)) >= max(least, taken / 2) { return false }
        isDone = true
        return true
    }
}
