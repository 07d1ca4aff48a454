import Drover
import Synchronization

/// Has PostgreSQL take away what deleted keys leave behind, before its autovacuum comes by.
///
/// A scan steps over the index's entries of deleted rows until a VACUUM has taken them: a page beside a million deleted keys took
/// 2.3 times as long. Autovacuum waits for a minute, and in a large table for a fifth of it to be dead.
struct PostgreSQLCleaner: ~Copyable {
    /// Keys that were deleted here since the tables were cleaned last.
    final class Deletions: Sendable {
        private let count = Atomic<Int>(0)

        func add(_ keys: Int) { count.add(keys, ordering: .relaxed) }

        var value: Int { count.load(ordering: .relaxed) }

        func take() { count.store(0, ordering: .relaxed) }
    }

    /// Deletions before the tables are cleaned: of a small table, and of a large one's rows one in so many.
    private static let fewest = 50_000
    private static let share = 50

    /// The pauses keep it from taking the disk and a core for itself, and a lock that somebody has is not waited for. What
    /// is less than a fiftieth of the table would be left in the index otherwise, and the tables' ends are not given back,
    /// which would lock readers out.
    private static let statements = [
        "SET vacuum_cost_delay = '1ms'", "SET vacuum_cost_limit = 1000",
        "VACUUM (SKIP_LOCKED, INDEX_CLEANUP TRUE, TRUNCATE FALSE) drover_current, drover_tombstone",
    ]
    private static let rows =
        "SELECT greatest(max(reltuples), 0)::int8 FROM pg_class WHERE oid IN ('drover_current'::regclass, 'drover_tombstone'::regclass)"

    private var running: PGConnection?
    private var least = Self.fewest
    private var isRefused = false

    init() {}

    /// Begins when enough has been deleted, and ends what is done; never waits for the tables.
    ///
    /// - Throws: ``DriverFailure`` of the connection that it cleans on.
    mutating func step(_ driver: PostgreSQLDriver) throws {
        // One to a server that has been left since will not answer.
        if let connection = running, connection.isUsable(driver.availability) {
            if !connection.hasAnswered() { return }
            do {
                try connection.drain()
            } catch {
                // Engines that only speak PostgreSQL's protocol clean up by themselves.
                if !connection.isBroken { isRefused = true }
                throw error
            }
        }
        running = nil
        if isRefused || driver.deletions.value < least { return }
        let connection = try driver.connect(reads: false)
        least = max(Self.fewest, Int(try connection.query(Self.rows)[0].integer(0, 0)) / Self.share)
        if driver.deletions.value < least { return }
        driver.deletions.take()
        for statement in Self.statements.dropLast() { _ = try connection.query(statement) }
        try connection.leave(Self.statements.last!)
        running = connection
    }
}
