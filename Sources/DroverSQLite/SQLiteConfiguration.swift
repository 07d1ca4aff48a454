import Drover

#if canImport(Glibc)
    import Glibc
#elseif canImport(Musl)
    import Musl
#elseif canImport(Darwin)
    import Darwin
#endif

/// Where a SQLite store lies and how it is opened.
public struct SQLiteConfiguration: Sendable {
    /// The database file. Its directory must exist or be creatable; beside it lie `-wal`, `-shm` and `.lock`.
    public var path: String
    /// The page cache of the writing connection in KiB. Default 16 MiB.
    public var writerCacheKiB = 16 << 10
    /// The page cache of each reading connection in KiB. Default 4 MiB.
    public var readerCacheKiB = 4 << 10
    /// Bytes of values that were committed lately, and of those that lists miss beside them, that are kept for all connections
    /// together; 0 keeps none. A commit empties the page caches of all connections that read, and this not. Default 16 MiB.
    public var cachedRowBytes = RowCache.defaultBytes
    /// Bytes of the write-ahead log above which it is checkpointed. Default 40 MiB.
    public var checkpointBytes: Int64 = 40 << 20
    /// Bytes of the write-ahead log's file that are written out in advance, while there is nothing else to do: a commit
    /// need not make the file longer then, which is a quarter of a lone write's time. Default 40 MiB; 0 does without.
    public var reservedWALBytes: Int64 = 40 << 20
    /// Bytes of a page of a new file; an older one keeps its own. Default 8 KiB: seven values of 1 KiB fill a page to
    /// 96 %, where a page of 4 KiB takes three and is full to 83 %.
    public var pageBytes = 8 << 10
    /// Bytes of the write-ahead log above which readers pause until it is reset. Default 256 MiB.
    public var walLimitBytes: Int64 = 256 << 20

    /// A store in the file at `path`.
    public init(path: String) {
        self.path = path
    }

    /// The file used when an endpoint names none, as in kine.
    public static let defaultPath = "./db/state.db"

    /// Reads an endpoint: `sqlite`, `sqlite://relative.db`, `sqlite:///absolute/path.db`. Parameters after `?` are
    /// those of kine's driver; WAL, full synchronisation and immediate transactions are always on here, so they are
    /// accepted and have no effect.
    public init(endpoint: String) {
        var rest = Substring(endpoint)
        if let colon = rest.firstIndex(of: ":") {
            rest = rest[rest.index(after: colon)...]
            if rest.hasPrefix("//") { rest = rest.dropFirst(2) }
        } else {
            rest = ""
        }
        rest = rest.prefix { $0 != "?" }
        self.init(path: rest.isEmpty ? Self.defaultPath : String(rest))
    }
}

extension SQLiteConfiguration {
    /// The path of the file itself, where the one given is a link to it: what lies beside it lies there.
    var resolvedPath: String { Self.resolved(path, hops: 16) }

    private static func resolved(_ path: String, hops: Int) -> String {
        func real(_ path: String) -> String? {
            guard let found = realpath(path, nil) else { return nil }
            defer { free(found) }
            return String(cString: found)
        }
        if let whole = real(path) { return whole }
        // A link to a file that SQLite is yet to make.
        var target = [CChar](repeating: 0, count: Int(PATH_MAX) + 1)
        let length = readlink(path, &target, Int(PATH_MAX))
        if length > 0, hops > 0 {
            let end = String(decoding: target[..<length].map { UInt8(bitPattern: $0) }, as: UTF8.self)
            let folder = path.lastIndex(of: "/").map { String(path[...$0]) } ?? ""
            return Self.resolved(end.hasPrefix("/") ? end : folder + end, hops: hops - 1)
        }
        guard let slash = path.lastIndex(of: "/") else { return path }
        let name = path[path.index(after: slash)...]
        return real(String(path[..<slash])).map { "\($0)/\(name)" } ?? path
    }
}
