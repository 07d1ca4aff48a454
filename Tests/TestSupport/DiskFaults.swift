#if SQLite
    import CFaultVFS
    import Foundation

    /// Errors of the disk beneath SQLite. One test at a time may use it.
    public enum DiskFaults {
        public enum Kind: Int32, Sendable {
            case walSyncBefore = 1
            case walSyncAfter = 2
            case walWrite = 3
            case read = 4
            case databaseSync = 5
        }

        /// Runs `body` with the faults in front of every file that SQLite opens in it.
        public static func use<R>(_ body: () async throws -> R) async throws -> R {
            precondition(fault_vfs_install() == 0)
            defer {
                disarm()
                fault_vfs_remove()
            }
            return try await body()
        }

        /// The next `count` operations of that kind fail, on files whose path holds `path`.
        public static func arm(_ kind: Kind, count: Int32 = .max, path: String) {
            // SQLite makes paths canonical.
            fault_vfs_arm(kind.rawValue, count, path.replacingOccurrences(of: "//", with: "/"))
        }
        /// Nothing fails; what is done to files whose path holds `path` is looked at.
        public static func watch(path: String) {
            fault_vfs_arm(0, 0, path.replacingOccurrences(of: "//", with: "/"))
        }
        /// How often the write-ahead log was begun anew since the last time it was armed, and the database file synced.
        public static var restarts: Int { Int(fault_vfs_restarts()) }
        public static var databaseSyncs: Int { Int(fault_vfs_database_syncs()) }
        /// How often the log was begun anew though writes to the database file were not synced.
        public static var unsyncedRestarts: Int { Int(fault_vfs_unsynced_restarts()) }
        public static func disarm() { fault_vfs_arm(0, 0, "") }
        /// Operations that have failed since the last time it was armed.
        public static var failures: Int { Int(fault_vfs_failures()) }
    }
#endif
