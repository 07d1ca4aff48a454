public import DroverClient
import Foundation

/// A server of etcd's API on loopback: drover or etcd.
public final class TestServer: Sendable {
    public let port: Int
    public let process: ChildProcess

    /// A directory to remove with the server.
    private let scratch: String?

    init(port: Int, process: ChildProcess, scratch: String? = nil) {
        self.port = port
        self.process = process
        self.scratch = scratch
    }

    public func connect() async throws -> EtcdConnection {
        try await EtcdConnection.connect(host: "127.0.0.1", port: port)
    }

    /// Waits until it answers.
    func waitUntilReady() async throws {
        let deadline = Date().addingTimeInterval(30)
        while Date() < deadline {
            if !process.isRunning { break }
            if let connection = try? await connect() {
                let key: [UInt8] = [0x0a, 0x01, 0x61]
                var answered = true
                do {
                    _ = try await connection.unary("/etcdserverpb.KV/Range", key)
                } catch let error as ClientError {
                    // One that asks who is there is there itself.
                    answered = error.message == "etcdserver: user name is empty"
                }
                await connection.close()
                if answered { return }
            }
            try await Task.sleep(nanoseconds: 20_000_000)
        }
        throw ClientError.unavailable("the server did not start: \(process.log.suffix(2_000))")
    }

    /// Starts drover on the store that belongs to `directory`.
    ///
    /// - Parameters:
    ///   - endpoint: in place of that store's.
    ///   - log: the name of its log in `directory`.
    public static func drover(
        directory: String,
        engine: Engine = .sqlite,
        endpoint: String? = nil,
        port: Int = freePort(),
        log: String = "drover.log",
        arguments: [String] = [],
        environment: [String: String] = [:]
    ) async throws -> TestServer {
        // In the environment, since a preloaded library may keep the program from seeing its arguments.
        let settings = [
            "DROVER_ENDPOINT": try endpoint ?? engine.endpoint(directory),
            "DROVER_LISTEN_ADDRESS": "127.0.0.1:\(port)",
        ]
        let process = try ChildProcess(
            droverExecutable(),
            arguments.isEmpty ? [] : ["serve"] + arguments,
            environment: settings.merging(environment) { $1 },
            log: "\(directory)/\(log)"
        )
        let server = TestServer(port: port, process: process)
        try await server.waitUntilReady()
        return server
    }

    /// Starts the real etcd that `DROVER_TEST_ETCD` names, or the one in PATH. Its data lies in memory where it can: it
    /// is asked what it answers, not how long it takes.
    public static func etcd(directory: String) async throws -> TestServer {
        guard let path = environment("DROVER_TEST_ETCD") ?? find("etcd") else {
            throw ClientError.unavailable("there is no etcd on this machine; `make test` installs it")
        }
        let port = freePort()
        let peer = freePort()
        let memory = "/dev/shm/drover-etcd-\(port)"
        let data = access("/dev/shm", W_OK) == 0 ? memory : "\(directory)/etcd"
        let process = try ChildProcess(
            path,
            [
                "--data-dir", data, "--listen-client-urls", "http://127.0.0.1:\(port)",
                "--advertise-client-urls", "http://127.0.0.1:\(port)", "--listen-peer-urls",
                "http://127.0.0.1:\(peer)", "--initial-advertise-peer-urls", "http://127.0.0.1:\(peer)",
                "--initial-cluster", "default=http://127.0.0.1:\(peer)", "--log-level", "error",
            ],
            log: "\(directory)/etcd.log"
        )
        let server = TestServer(port: port, process: process, scratch: memory)
        try await server.waitUntilReady()
        return server
    }

    deinit {
        if let scratch {
            process.stop()
            try? FileManager.default.removeItem(atPath: scratch)
        }
    }
}
