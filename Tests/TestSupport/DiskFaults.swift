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
        public static func disarm() { fault_vfs_arm(0, 0, "") }
        /// Operations that have failed since the last time it was armed.
        public static var failures: Int { Int(fault_vfs_failures()) }
    }
#endif
