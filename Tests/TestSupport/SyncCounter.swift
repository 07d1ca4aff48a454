import Foundation

/// Counts the calls by which a process has its files written to the disk, for servers that do not count them themselves:
/// a library loaded before the C library's that leaves a byte behind for each.
public final class SyncCounter: Sendable {
    private let directory: String

    /// - Throws: ``ServerFailure`` where there is no C compiler.
    public init() throws {
        directory = NSTemporaryDirectory() + "drover-test-sync-\(UUID().uuidString)"
        try FileManager.default.createDirectory(atPath: directory, withIntermediateDirectories: true)
        // The server runs as another user.
        chmod(directory, 0o777)
        let source = """
            #define _GNU_SOURCE
            #include <dlfcn.h>
            #include <fcntl.h>
            #include <stdlib.h>
            #include <unistd.h>
            static int counted(const char *name, int fd) {
                int log = open(getenv("SYNC_COUNTER"), O_WRONLY | O_APPEND | O_CREAT, 0666);
                if (log >= 0) { (void)!write(log, ".", 1); close(log); }
                return ((int (*)(int))dlsym(RTLD_NEXT, name))(fd);
            }
            int fsync(int fd) { return counted("fsync", fd); }
            int fdatasync(int fd) { return counted("fdatasync", fd); }

            """
        try source.write(toFile: "\(directory)/counter.c", atomically: true, encoding: .utf8)
        guard let compiler = find("cc") ?? find("clang") else {
            throw ServerFailure("there is no C compiler; the Swift toolchain has clang")
        }
        let built = try run(
            compiler,
            ["-shared", "-fPIC", "-o", "\(directory)/counter.so", "\(directory)/counter.c", "-ldl"]
        )
        if built.status != 0 { throw ServerFailure(built.error) }
    }

    /// What the process needs in its environment.
    public var environment: [String] {
        ["LD_PRELOAD=\(directory)/counter.so", "SYNC_COUNTER=\(directory)/count"]
    }

    /// Calls until now.
    public var count: Int {
        let attributes = try? FileManager.default.attributesOfItem(atPath: "\(directory)/count")
        return (attributes?[.size] as? Int) ?? 0
    }

    deinit { try? FileManager.default.removeItem(atPath: directory) }
}
