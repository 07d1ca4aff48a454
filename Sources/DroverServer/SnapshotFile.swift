import Crypto
public import Drover

#if canImport(Glibc)
    import Glibc
#elseif canImport(Musl)
    import Musl
#elseif canImport(Darwin)
    import Darwin
#endif

/// A snapshot in a file, as `etcdctl snapshot save` leaves it: the snapshot, and the checksum of its bytes.
public final class SnapshotFile {
    private static let checksumBytes = 32
    private let stream: UnsafeMutablePointer<FILE>
    /// The file's length.
    public let bytes: Int

    /// Opens a file.
    ///
    /// - Throws: ``DroverError`` when it cannot be read.
    public init(path: String) throws {
        guard let stream = fopen(path, "rb") else {
            throw DroverError(.badSnapshot, message: "drover: the snapshot's file cannot be read")
        }
        self.stream = stream
        fseek(stream, 0, SEEK_END)
        bytes = ftell(stream)
        rewind(stream)
    }

    /// Closes the file.
    public func close() { fclose(stream) }

    /// The next bytes of it, as many as asked for.
    public func read(_ count: Int) throws -> Bytes {
        // A length that the file cannot hold is not made room for.
        guard count <= bytes else { throw Self.truncated }
        var part = Bytes(repeating: 0, count: count)
        guard count == 0 || fread(&part, 1, count, stream) == count else { throw Self.truncated }
        return part
    }

    private static var truncated: DroverError {
        DroverError(.badSnapshot, message: "drover: the snapshot ends too early; take it again, or use an older one")
    }

    /// Compares the checksum at the end, and goes back to the beginning.
    public func verify() throws {
        rewind(stream)
        defer { rewind(stream) }
        var left = bytes - Self.checksumBytes
        guard left > 0 else { throw Self.truncated }
        var digest = SHA256()
        while left > 0 {
            let part = try read(min(left, 1 << 20))
            digest.update(data: part)
            left -= part.count
        }
        guard try read(Self.checksumBytes) == Array(digest.finalize()) else {
            throw DroverError(
                .badSnapshot,
                message: "drover: the snapshot's checksum does not fit: it is damaged or cut short; take it again"
            )
        }
    }

    /// Goes back to the beginning.
    public func goBack() { rewind(stream) }

    /// What is in it, from the beginning.
    public func summary() throws -> SnapshotRestore.Result {
        rewind(stream)
        return try SnapshotRestore.summary(read)
    }
}
