import CSQLite
import Drover

/// A prepared statement, kept for as long as its connection.
final class SQLiteStatement {
    private let statement: OpaquePointer
    private unowned let connection: SQLiteConnection

    init(_ statement: OpaquePointer, _ connection: SQLiteConnection) {
        self.statement = statement
        self.connection = connection
    }

    deinit {
        sqlite3_finalize(statement)
    }

    @inline(__always)
    func bind(_ index: Int32, _ value: Int64) {
        sqlite3_bind_int64(statement, index, value)
    }

    /// Binds bytes without copying them: they must stay valid until ``reset()``.
    @inline(__always)
    func bind(_ index: Int32, lending bytes: UnsafeRawBufferPointer) {
        _ = drover_bind_blob_static(statement, index, bytes.baseAddress, Int32(bytes.count))
    }

    /// Binds a copy of the bytes.
    func bind(_ index: Int32, copying bytes: Bytes) {
        bytes.withUnsafeBytes {
            _ = sqlite3_bind_blob64(
                statement,
                index,
                bytes.isEmpty ? UnsafeRawPointer(bitPattern: 1) : $0.baseAddress,
                UInt64(bytes.count),
                unsafeBitCast(-1, to: sqlite3_destructor_type.self)
            )
        }
    }

    /// Whether there is a row.
    @inline(__always)
    func step() throws -> Bool {
        let status = sqlite3_step(statement)
        if status == SQLITE_ROW { return true }
        if status == SQLITE_DONE { return false }
        throw connection.failure(status)
    }

    /// Steps a statement that returns no rows, and resets it.
    @inline(__always)
    func run() throws {
        let status = sqlite3_step(statement)
        if status != SQLITE_DONE && status != SQLITE_ROW {
            let failure = connection.failure(status)
            sqlite3_reset(statement)
            throw failure
        }
        sqlite3_reset(statement)
    }

    @inline(__always)
    func reset() {
        sqlite3_reset(statement)
    }

    @inline(__always)
    func integer(_ column: Int32) -> Int64 {
        sqlite3_column_int64(statement, column)
    }

    /// Whether the column holds SQL NULL.
    @inline(__always)
    func isNull(_ column: Int32) -> Bool {
        sqlite3_column_type(statement, column) == SQLITE_NULL
    }

    /// The bytes of a column, valid until the next step or reset.
    @inline(__always)
    func bytes(_ column: Int32) -> UnsafeRawBufferPointer {
        let pointer = sqlite3_column_blob(statement, column)
        let count = Int(sqlite3_column_bytes(statement, column))
        return UnsafeRawBufferPointer(start: pointer, count: pointer == nil ? 0 : count)
    }
}
