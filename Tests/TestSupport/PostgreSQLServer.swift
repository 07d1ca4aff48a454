import Foundation

/// A PostgreSQL server of the system's newest version.
public final class PostgreSQLServer: DatabaseServer, @unchecked Sendable {
    public let port: Int
    public let directory: String
    private let settings: [String]
    private let user: String
    private var process: ChildProcess?

    /// - Parameters:
    ///   - settings: `name=value` of postgresql.conf.
    ///   - cloneOf: a primary that this server is a standby of.
    public init(
        directory: String,
        port: Int = freePort(),
        settings: [String] = [],
        cloneOf primary: PostgreSQLServer? = nil
    ) throws {
        self.port = port
        self.directory = directory
        self.settings = settings
        user = getuid() == 0 ? "postgres" : NSUserName()
        try FileManager.default.createDirectory(atPath: directory, withIntermediateDirectories: true)
        try ServerUser.own(user, directory)
        if let primary {
            try command(
                "pg_basebackup",
                [
                    "-h", "127.0.0.1", "-p", "\(primary.port)", "-U", user, "-D", "\(directory)/data", "-R", "-X",
                    "stream", "-c", "fast",
                ]
            )
        } else {
            try command(
                "initdb",
                ["-D", "\(directory)/data", "-A", "trust", "-N", "-E", "UTF8", "--locale=C", "-U", user]
            )
        }
    }

    /// Where Debian keeps the server's programs, which are not in PATH.
    private static let programs: String? = {
        let root = "/usr/lib/postgresql"
        let versions = (try? FileManager.default.contentsOfDirectory(atPath: root)) ?? []
        return versions.sorted { (Int($0) ?? 0) < (Int($1) ?? 0) }.last.map { "\(root)/\($0)/bin" }
    }()

    private static func program(_ name: String) throws -> String {
        if let programs, access("\(programs)/\(name)", X_OK) == 0 { return "\(programs)/\(name)" }
        if let path = find(name) { return path }
        throw ServerFailure("there is no \(name) on this machine; `make test` installs PostgreSQL")
    }

    private func command(_ name: String, _ arguments: [String]) throws {
        let words = ServerUser.wrap(user, [try Self.program(name)] + arguments)
        let result = try run(words[0], Array(words.dropFirst()))
        if result.status != 0 { throw ServerFailure("\(name): \(result.error)") }
    }

    public func start() throws {
        var arguments = ["-D", "\(directory)/data", "-p", "\(port)", "-k", directory]
        let defaults = [
            "listen_addresses=127.0.0.1", "fsync=off", "max_connections=200", "shared_buffers=128MB",
            "wal_level=replica", "max_wal_senders=5", "autovacuum_naptime=5s", "log_min_duration_statement=200",
        ]
        for setting in defaults + settings { arguments += ["-c", setting] }
        let words = ServerUser.wrap(user, [try Self.program("postgres")] + arguments)
        process = try ChildProcess(words[0], Array(words.dropFirst()), log: "\(directory)/server.log")
        let deadline = Date().addingTimeInterval(30)
        while Date() < deadline {
            if (try? sql("SELECT 1", database: "postgres")) != nil { return }
            if process?.isRunning == false { break }
            usleep(50_000)
        }
        throw ServerFailure("PostgreSQL did not start: \(process?.log.suffix(2_000) ?? "")")
    }

    public func endpoint(database: String) -> String {
        "postgres://\(user)@127.0.0.1:\(port)/\(database)?sslmode=disable"
    }

    public func client(database: String?) throws -> [String] {
        [
            try Self.program("psql"), "-h", "127.0.0.1", "-p", "\(port)", "-U", user, "-d", database ?? "postgres",
            "-AtqX",
            "-v", "ON_ERROR_STOP=1",
        ]
    }

    @discardableResult
    public func sql(_ text: String, database: String?) throws -> String {
        let client = try client(database: database)
        let result = try run(client[0], client.dropFirst() + ["-c", text])
        if result.status != 0 { throw ServerFailure(result.error) }
        return result.output
    }

    /// The server's own process, behind the program that changed the user.
    public var serverProcess: Int32? {
        guard let text = try? String(contentsOfFile: "\(directory)/data/postmaster.pid", encoding: .utf8) else {
            return nil
        }
        return text.split(separator: "\n").first.flatMap { Int32($0) }
    }

    public func stop() {
        if let pid = serverProcess { Foundation.kill(pid, SIGINT) }
        process?.wait()
        process = nil
    }

    public func kill() {
        // An immediate stop: its processes end, its shared memory is given back, and it recovers with the next start.
        if let pid = serverProcess { Foundation.kill(pid, SIGQUIT) }
        process?.wait()
        process = nil
    }

    /// Has it read its configuration again.
    public func reload() throws {
        if let pid = serverProcess { Foundation.kill(pid, SIGHUP) }
        usleep(500_000)
    }

    /// Makes it a standby of another server of the same history, from its next start on.
    public func follow(_ primary: PostgreSQLServer) throws {
        let data = "\(directory)/data"
        let settings = "\nprimary_conninfo = 'host=127.0.0.1 port=\(primary.port) user=\(user)'\n"
        let file = "\(data)/postgresql.auto.conf"
        try ((try String(contentsOfFile: file, encoding: .utf8)) + settings)
            .write(toFile: file, atomically: false, encoding: .utf8)
        _ = FileManager.default.createFile(atPath: "\(data)/standby.signal", contents: nil)
        try ServerUser.own(user, data)
    }

    public func promote() throws { try command("pg_ctl", ["promote", "-w", "-D", "\(directory)/data"]) }

    deinit { kill() }
}
