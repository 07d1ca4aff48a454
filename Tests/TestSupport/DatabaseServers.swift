import Foundation

/// A database server that the tests start on loopback, in a temporary directory, and stop.
public protocol DatabaseServer: AnyObject, Sendable {
    /// An endpoint for a database of that name.
    func endpoint(database: String) -> String
    /// The engine's own client, connected: the program and its arguments.
    func client(database: String?) throws -> [String]
    /// Runs SQL with the engine's own client and returns its output.
    @discardableResult
    func sql(_ text: String, database: String?) throws -> String
    func start() throws
    func stop()
    /// Ends it at once, as a failing machine would.
    func kill()
    var port: Int { get }
}

/// The servers that the suites of one test process share: started when they are first used, ended with the process.
public enum SharedServers {
    private static let lock = NSLock()
    private nonisolated(unsafe) static var started: [String: any DatabaseServer] = [:]

    public static func postgres() throws -> any DatabaseServer {
        try shared("postgres") { try PostgreSQLServer(directory: scratch("postgres")) }
    }

    public static func mariadb() throws -> any DatabaseServer {
        try shared("mariadb") { try MariaDBServer(directory: scratch("mariadb")) }
    }

    private static func shared(_ name: String, _ make: () throws -> any DatabaseServer) throws -> any DatabaseServer {
        lock.lock()
        defer { lock.unlock() }
        if let server = started[name] { return server }
        let server = try make()
        try server.start()
        started[name] = server
        if started.count == 1 {
            atexit { SharedServers.stopAll() }
        }
        return server
    }

    private static func stopAll() {
        for server in started.values { server.kill() }
        for name in started.keys { try? FileManager.default.removeItem(atPath: scratch(name)) }
    }

    /// Memory where there is some: what these suites ask of a server is that it answers rightly, not that it survives
    /// its machine.
    private static func scratch(_ name: String) -> String {
        let root = access("/dev/shm", W_OK) == 0 ? "/dev/shm" : NSTemporaryDirectory()
        let path = "\(root)/drover-test-\(name)-\(getpid())"
        Reaper.made(path)
        return path
    }
}

/// Runs a program as another user when this one is root: database servers refuse to run as root.
enum ServerUser {
    static func wrap(_ user: String, _ command: [String]) -> [String] {
        getuid() == 0 ? ["/usr/sbin/runuser", "-u", user, "--"] + command : command
    }

    static func own(_ user: String, _ path: String) throws {
        guard getuid() == 0 else { return }
        let result = try run("/usr/bin/chown", ["-R", "\(user):", path])
        if result.status != 0 { throw ServerFailure("chown \(path): \(result.error)") }
    }
}

/// A server could not be started or used.
public struct ServerFailure: Error, CustomStringConvertible {
    public var description: String
    public init(_ description: String) { self.description = description }
}
