import CSQLite
import CWriteAheadVFS
import Drover

#if canImport(Glibc)
    import Glibc
#elseif canImport(Musl)
    import Musl
#elseif canImport(Darwin)
    import Darwin
#endif

/// A handle of SQLite, used by one thread at a time.
final class SQLiteConnection {
    let handle: OpaquePointer

    /// - Throws: ``DriverFailure`` of kind `unavailable` or `corrupt` that says what to do.
    ///
    /// - Parameter writes: this is the connection that writes.
    init(path: String, writes: Bool) throws {
        var handle: OpaquePointer?
        // Who opens the store has made the file: one that has gone must not come to be a new one.
        let flags = SQLITE_OPEN_READWRITE | SQLITE_OPEN_NOMUTEX
        let status = sqlite3_open_v2(path, &handle, flags, writes ? drover_write_ahead_vfs() : nil)
        guard status == SQLITE_OK, let handle else {
            let code = handle.map { sqlite3_extended_errcode($0) } ?? status
            let cause = String(cString: sqlite3_errstr(code))
            if let handle { sqlite3_close_v2(handle) }
            throw DriverFailure(
                .unavailable,
                "the SQLite file cannot be opened (\(cause)); check that its directory exists and that this user may write there",
                engineCode: Int(code)
            )
        }
        // SQLite opens for reading what it may not write, and would leave files beside it that nobody may write either.
        if writes && sqlite3_db_readonly(handle, "main") == 1 {
            sqlite3_close_v2(handle)
            throw DriverFailure(
                .unavailable,
                "the SQLite file can only be read; check that this user may write there",
                engineCode: Int(SQLITE_READONLY)
            )
        }
        self.handle = handle
        sqlite3_extended_result_codes(handle, 1)
        // Only this process's checkpoint with a closed gate ever makes one connection wait for another.
        sqlite3_busy_timeout(handle, Self.busyMilliseconds)
    }

    /// A connection that never writes and never checkpoints.
    convenience init(reading driver: SQLiteDriver) throws {
        try self.init(path: driver.path, writes: false)
        _ = drover_set_no_checkpoint_on_close(handle)
        try execute("PRAGMA wal_autocheckpoint = 0")
        try execute("PRAGMA query_only = 1")
    }

    deinit {
        sqlite3_close_v2(handle)
    }

    func execute(_ sql: String) throws {
        let status = sqlite3_exec(handle, sql, nil, nil, nil)
        if status != SQLITE_OK { throw failure(status) }
    }

    func prepare(_ sql: String) throws -> SQLiteStatement {
        var statement: OpaquePointer?
        let status = sqlite3_prepare_v3(handle, sql, -1, UInt32(SQLITE_PREPARE_PERSISTENT), &statement, nil)
        guard status == SQLITE_OK, let statement else { throw failure(status) }
        return SQLiteStatement(statement, self)
    }

    /// The first column of the first row as an integer; nil when there is no row.
    func integer(_ sql: String) throws -> Int64? {
        let statement = try prepare(sql)
        defer { statement.reset() }
        return try statement.step() ? statement.integer(0) : nil
    }

    /// SQLITE_IOERR_WRITE, whose macro Swift does not import.
    static let writeError = SQLITE_IOERR | 3 << 8
    /// SQLITE_IOERR_FSYNC, likewise.
    static let syncError = SQLITE_IOERR | 4 << 8
    /// How long another program's lock on the file is waited for.
    static let busyMilliseconds: Int32 = 5_000

    /// SQLite tells a full disk from other failures of a write, but not a limit on the size of files, and by the time
    /// it can be asked the system's error number is gone.
    private var isOutOfSpace: Bool {
        var limit = rlimit()
        #if canImport(Darwin)
            let known = getrlimit(RLIMIT_FSIZE, &limit) == 0
        #else
            let known = getrlimit(__rlimit_resource_t(RLIMIT_FSIZE.rawValue), &limit) == 0
        #endif
        if known && limit.rlim_cur < rlim_t(Int64.max) { return true }
        guard let path = sqlite3_db_filename(handle, "main") else { return false }
        var system = statvfs()
        return statvfs(path, &system) == 0 && UInt64(system.f_bavail) * UInt64(system.f_frsize) < 1 << 20
    }

    /// What SQLite's result code means for a batch.
    func failure(_ status: Int32) -> DriverFailure {
        let code = sqlite3_extended_errcode(handle)
        let extended = code & 0xff == status & 0xff ? code : status
        let text = String(cString: sqlite3_errstr(extended))
        let system = sqlite3_system_errno(handle)
        switch extended & 0xff {
        case SQLITE_FULL:
            return DriverFailure(
                .noSpace,
                "the disk is full; free some space and writing goes on",
                engineCode: Int(extended)
            )
        case SQLITE_IOERR
        where (extended == Self.writeError && isOutOfSpace) || [ENOSPC, EDQUOT, EFBIG].contains(system):
            return DriverFailure(
                .noSpace,
                "the disk, the quota or the file size limit is full; raise it and writing goes on",
                engineCode: Int(extended)
            )
        case SQLITE_CORRUPT, SQLITE_NOTADB:
            return DriverFailure(
                .corrupt,
                "the SQLite file is damaged or is no database (\(text)); restore it from a backup",
                engineCode: Int(extended)
            )
        case SQLITE_BUSY, SQLITE_LOCKED:
            return DriverFailure(.conflict, "the SQLite file is locked (\(text))", engineCode: Int(extended))
        case SQLITE_READONLY:
            return DriverFailure(
                .unavailable,
                "the SQLite file or its file system is read-only; make it writable for this user",
                engineCode: Int(extended)
            )
        case SQLITE_TOOBIG:
            return DriverFailure(.tooLarge, "SQLite takes no value as long as this one", engineCode: Int(extended))
        case SQLITE_CONSTRAINT, SQLITE_MISMATCH:
            return DriverFailure(.refused, "SQLite refused the data (\(text))", engineCode: Int(extended))
        default:
            return DriverFailure(.unavailable, "SQLite: \(text) (system error \(system))", engineCode: Int(extended))
        }
    }
}
