import CSQLite

/// What about a machine can cost a SQLite file its data.
enum SQLiteHazards {
    /// Warnings about a version of SQLite and the kind of file system, as Linux numbers them in `statfs`.
    static func warnings(version: Int32, fileSystem: Int) -> [String] {
        var warnings: [String] = []
        if version < 3_051_003 {
            warnings.append(
                "this SQLite has the WAL-reset bug (before 3.51.3): no other program may write to the file or checkpoint it while Drover runs"
            )
        }
        // Source: statfs(2).
        switch fileSystem {
        case 0x6969: warnings.append(network("NFS"))
        case 0xff53_4d42, 0xfe53_4d42, 0x517b: warnings.append(network("SMB"))
        case 0x0102_1997: warnings.append(network("9P"))
        case 0x5346_414f: warnings.append(network("AFS"))
        case 0x00c3_6400: warnings.append(network("Ceph"))
        case 0x6573_5546:
            warnings.append(
                "the SQLite file lies on FUSE: whether locks and syncs are real depends on what is behind it; use a local file system"
            )
        case 0x0102_1994, 0x8584_58f6:
            warnings.append("the SQLite file lies in memory: it is gone when the machine restarts")
        default: break
        }
        return warnings
    }

    private static func network(_ name: String) -> String {
        "the SQLite file lies on \(name): SQLite's write-ahead log needs memory that all its users share, and the locks and syncs of network file systems have lost data; use a local file system"
    }

    /// The warnings that hold for the file at `path`.
    static func warnings(path: String) -> [String] {
        return warnings(version: sqlite3_libversion_number(), fileSystem: Int(drover_file_system_kind(path)))
    }
}
