import Foundation

/// A MariaDB server, alone or a node of a Galera cluster.
public final class MariaDBServer: DatabaseServer, @unchecked Sendable {
    public let port: Int
    public let directory: String
    private let settings: [String]
    private let environment: [String]
    private let user: String
    private var process: ChildProcess?

    /// - Parameters:
    ///   - settings: further options of the server, without their dashes.
    ///   - environment: further variables of its environment, as `NAME=VALUE`.
    public init(
        directory: String,
        port: Int = freePort(),
        settings: [String] = [],
        environment: [String] = []
    ) throws {
        self.port = port
        self.directory = directory
        self.settings = settings
        self.environment = environment
        user = getuid() == 0 ? "mysql" : NSUserName()
        try FileManager.default.createDirectory(atPath: directory, withIntermediateDirectories: true)
        try ServerUser.own(user, directory)
        guard let install = find("mariadb-install-db") else {
            throw ServerFailure("there is no mariadb-install-db on this machine; `make test` installs MariaDB")
        }
        let words = ServerUser.wrap(
            user,
            [
                install, "--no-defaults", "--datadir=\(directory)/data", "--auth-root-authentication-method=normal",
                "--skip-test-db",
            ]
        )
        let result = try run(words[0], Array(words.dropFirst()))
        if result.status != 0 { throw ServerFailure("mariadb-install-db: \(result.error)\(result.output)") }
    }

    public func start() throws { try start([]) }

    /// - Parameter extra: options of this start alone.
    public func start(_ extra: [String]) throws {
        try launch(extra)
        try waitUntilReady()
    }

    public func launch(_ extra: [String] = []) throws {
        guard let server = find("mariadbd") else {
            throw ServerFailure("there is no mariadbd on this machine; `make test` installs MariaDB")
        }
        var arguments = [
            server, "--no-defaults", "--datadir=\(directory)/data", "--port=\(port)", "--bind-address=127.0.0.1",
            "--socket=\(directory)/socket", "--pid-file=\(directory)/pid", "--skip-name-resolve",
            "--innodb-buffer-pool-size=128M", "--innodb-flush-log-at-trx-commit=0", "--max-connections=300",
        ]
        for setting in settings + extra { arguments.append("--\(setting)") }
        if !environment.isEmpty { arguments = ["/usr/bin/env"] + environment + arguments }
        let words = ServerUser.wrap(user, arguments)
        process = try ChildProcess(words[0], Array(words.dropFirst()), log: "\(directory)/server.log")
    }

    public func waitUntilReady(seconds: Double = 60) throws {
        let deadline = Date().addingTimeInterval(seconds)
        while Date() < deadline {
            if (try? sql("SELECT 1", database: nil)) != nil { return }
            if process?.isRunning == false { break }
            usleep(50_000)
        }
        throw ServerFailure("MariaDB did not start: \(process?.log.suffix(3_000) ?? "")")
    }

    public func endpoint(database: String) -> String { "mysql://root@127.0.0.1:\(port)/\(database)" }

    public func client(database: String?) throws -> [String] {
        guard let client = find("mariadb") else { throw ServerFailure("there is no mariadb client on this machine") }
        let arguments = [client, "--no-defaults", "-h", "127.0.0.1", "-P", "\(port)", "-u", "root", "-NB"]
        return arguments + (database.map { ["-D", $0] } ?? [])
    }

    @discardableResult
    public func sql(_ text: String, database: String?) throws -> String {
        let client = try client(database: database)
        let result = try run(client[0], client.dropFirst() + ["-e", text])
        if result.status != 0 { throw ServerFailure(result.error) }
        return result.output
    }

    /// The server's own process, behind the program that changed the user.
    public var serverProcess: Int32? {
        guard let text = try? String(contentsOfFile: "\(directory)/pid", encoding: .utf8) else { return nil }
        return Int32(text.trimmingCharacters(in: .whitespacesAndNewlines))
    }

    private func end(_ signal: Int32) {
        if let pid = serverProcess { Foundation.kill(pid, signal) }
        process?.wait()
        process = nil
        try? FileManager.default.removeItem(atPath: "\(directory)/pid")
    }

    public func stop() { end(SIGTERM) }
    public func kill() { end(SIGKILL) }
    public var log: String { process?.log ?? "" }

    deinit { if process != nil { kill() } }
}
