import CSQLite
public import Drover
public import Logging
import Synchronization

#if canImport(Glibc)
    import Glibc
#elseif canImport(Musl)
    import Musl
#elseif canImport(Darwin)
    import Darwin
#endif

/// The embedded backend: one SQLite file, served by one process.
public final class SQLiteDriver: Driver, DriverProvider {
    public static let schemes = ["sqlite"]
    public static let isEmbedded = true

    public let name = "sqlite"
    /// etcd has no limit but the request's; a key in SQLite's index may be as long.
    public let maximumKeyBytes = 1 << 20
    public let isShared = false

    let configuration: SQLiteConfiguration
    let logger: Logger
    let revisions = RevisionMap()
    let gate = ReadGate()
    let rows: RowCache
    public var rowCache: RowCache? { rows }
    /// Events before this revision may be gone: the compaction mark of the sweep that began last. Set before a sweep's first
    /// step commits.
    let purged = Atomic<Int64>(0)
    private let lock = Mutex<FileLock?>(nil)
    /// The file itself, from when it was first opened: a path may mean another later, as when the process changes its
    /// directory.
    private let file = Mutex<String?>(nil)
    var path: String { file.withLock { $0 } ?? configuration.path }

    /// A driver for the file that `configuration` names; nothing is opened yet.
    public init(_ configuration: SQLiteConfiguration, logger: Logger = Logger(label: "drover.sqlite")) {
        self.configuration = configuration
        self.logger = logger
        rows = RowCache(bytes: configuration.cachedRowBytes, isEmbedded: true)
    }

    /// Tells SQLite, for the whole process, not to count its allocations, which takes a lock that all threads share.
    ///
    /// Call it, if at all, before anything in the process uses SQLite: `sqlite3_config` is not safe beside other calls.
    /// Afterwards SQLite's heap limits and `sqlite3_memory_used` do nothing. Source: sqlite.org/c3ref/config.html,
    /// `SQLITE_CONFIG_MEMSTATUS`.
    public static func disableMemoryStatistics() {
        _ = drover_disable_memory_statistics()
    }

    public static func makeDriver(endpoint: String, options: DriverOptions) throws -> any Driver {
        var configuration = SQLiteConfiguration(endpoint: endpoint)
        configuration.cachedRowBytes = options.cachedRowBytes
        return SQLiteDriver(configuration, logger: options.logger)
    }

    public func openWriter() throws -> any DriverWriter {
        if configuration.path.isEmpty || configuration.path == ":memory:" {
            throw DroverError(
                .database,
                message:
                    "drover: a store needs a file: SQLite's memory is each connection's own; use a temporary directory"
            )
        }
        let isNew = access(configuration.path, F_OK) != 0
        var isLocked = false
        do {
            try makeDirectory()
            try lock.withLock { lock in
                if lock != nil {
                    throw DriverFailure(.unavailable, "this driver serves a store already; make one for each store")
                }
                lock = try FileLock(path: configuration.resolvedPath + ".lock")
                isLocked = true
            }
            // It may be another file by now.
            rows.removeAll()
            makeFile()
            file.withLock { $0 = configuration.resolvedPath }
            let writer = try SQLiteWriter(self)
            warnOfHazards()
            return writer
        } catch let failure as DriverFailure {
            if isNew && isLocked { removeEmptyFile() }
            if isLocked { close() }
            throw DroverError(.database, message: "drover: \(failure.message)", cause: failure)
        }
    }

    public func openReader() throws -> any DriverReader {
        do {
            return try SQLiteReader(self)
        } catch let failure as DriverFailure {
            throw DroverError(.database, message: "drover: \(failure.message)", cause: failure)
        }
    }

    public func close() {
        lock.withLock { $0 = nil }
    }

    private func makeDirectory() throws {
        guard let slash = configuration.path.lastIndex(of: "/"), slash != configuration.path.startIndex else { return }
        var made = ""
        let directory = configuration.path[..<slash]
        for part in directory.split(separator: "/", omittingEmptySubsequences: false) {
            made += made.isEmpty && part.isEmpty ? "/" : (made.hasSuffix("/") || made.isEmpty ? "" : "/") + part
            if made.isEmpty || made == "/" { continue }
            // What lies above may be others' too.
            if mkdir(made, made == directory ? 0o700 : 0o755) != 0 && errno != EEXIST {
                throw DriverFailure(
                    .unavailable,
                    "the directory of the SQLite file cannot be created (\(String(cString: strerror(errno))))",
                    engineCode: Int(errno)
                )
            }
        }
    }

    /// Makes a file that is not there yet, so that nobody else on the machine can read it: it holds every value, and what
    /// signs tokens. SQLite gives its other files the same mode. Whether it can be made at all SQLite says itself.
    private func makeFile() {
        let descriptor = open(configuration.resolvedPath, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0o600)
        if descriptor >= 0 { _ = closeDescriptor(descriptor) }
    }

    /// What could not be begun leaves nothing behind.
    private func removeEmptyFile() {
        var status = stat()
        guard stat(configuration.path, &status) == 0, status.st_size == 0,
            lock.withLock({ $0 != nil })
        else { return }
        // Not the lock file: another process may have it open already.
        for ending in ["-wal", "-shm", ""] { unlink(configuration.path + ending) }
    }

    private func warnOfHazards() {
        var status = stat()
        if stat(configuration.path, &status) == 0, status.st_mode & 0o077 != 0 {
            logger.warning("other users of this machine can read the SQLite file; chmod 600 it and what lies beside it")
        }
        for warning in SQLiteHazards.warnings(path: configuration.path) {
            logger.warning(
                "\(warning)",
                metadata: ["sqlite": "\(String(cString: sqlite3_libversion()))"]
            )
        }
    }
}

/// Keeps a second process out. A lock on the database file itself would not do: closing any descriptor of that file
/// drops the locks that SQLite holds on it.
final class FileLock: Sendable {
    /// The files that this process has locked, by their lock files' paths.
    private static let own = Mutex<Set<String>>([])
    private let descriptor: Int32
    private let path: String

    init(path: String) throws {
        let descriptor = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0o600)
        if descriptor < 0 {
            throw DriverFailure(
                .unavailable,
                "the lock file beside the SQLite file cannot be opened (\(String(cString: strerror(errno)))); check that this user may write there",
                engineCode: Int(errno)
            )
        }
        if flock(descriptor, LOCK_EX | LOCK_NB) != 0 {
            _ = closeDescriptor(descriptor)
            let isOwn = Self.own.withLock { $0.contains(path) }
            throw DriverFailure(
                .unavailable,
                isOwn
                    ? "this process has the SQLite file open already; share that store, or await its close() first"
                    : "another process has the SQLite file open; stop it first, or use PostgreSQL or MySQL to share a store"
            )
        }
        self.descriptor = descriptor
        self.path = path
        Self.own.withLock { _ = $0.insert(path) }
    }

    deinit {
        Self.own.withLock { _ = $0.remove(path) }
        _ = closeDescriptor(descriptor)
    }
}

extension Store {
    /// Opens a store in a SQLite file.
    ///
    /// - Throws: ``DroverError`` with ``DroverError/Code/database`` when the file cannot be used.
    public static func open(
        sqlite configuration: SQLiteConfiguration,
        configuration store: StoreConfiguration = .init()
    ) async throws -> Store {
        try await open(driver: SQLiteDriver(configuration, logger: store.logger), configuration: store)
    }
}

private func closeDescriptor(_ descriptor: Int32) -> Int32 { close(descriptor) }
