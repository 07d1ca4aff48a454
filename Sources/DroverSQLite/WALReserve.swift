import CSQLite

#if canImport(Glibc)
    import Glibc
#elseif canImport(Musl)
    import Musl
#elseif canImport(Darwin)
    import Darwin
#endif

/// Writes the write-ahead log's file out in advance, so that a commit's sync does not have to make a file longer.
///
/// A sync of bytes written over costs the disk one write; one that makes the file longer costs the file system's own
/// journal another. SQLite takes zeros for the end of the log (its frames carry checksums), so they are harmless. The
/// log's file bears no locks, unlike the database file, which nothing but SQLite may open.
struct WALReserve {
    /// Bytes written at a time: a few milliseconds between two batches.
    private static let slice: Int64 = 4 << 20

    private let path: String
    private let target: Int64
    /// Whether the file is long enough, or the disk too full.
    var isDone = false

    init(databasePath: String, bytes: Int64) {
        path = databasePath + "-wal"
        target = bytes
    }

    /// Makes the file a slice longer, as long as it is too short. Call it on the writer's thread, outside a batch.
    mutating func grow() {
        if isDone { return }
        let descriptor = open(path, O_WRONLY | O_CLOEXEC)
        if descriptor < 0 { return }
        defer { close(descriptor) }
        var status = stat()
        guard fstat(descriptor, &status) == 0 else { return }
        let length = Int64(status.st_size)
        if length >= target {
            isDone = true
            return
        }
        let count = Int(min(Self.slice, target - length))
        let zeros = [UInt8](repeating: 0, count: count)
        if pwrite(descriptor, zeros, count, off_t(length)) != count || fsync(descriptor) != 0 {
            // The disk is nearly full: what is left of it is for data.
            _ = ftruncate(descriptor, off_t(length))
            isDone = true
        }
    }
}
