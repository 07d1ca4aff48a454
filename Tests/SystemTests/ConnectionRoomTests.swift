import DroverClient
import EtcdAPI
import Foundation
import TestSupport
import Testing

extension SystemTests.DatabaseFaults {
    @Test(
        "connections that are lost and find no room on the server wait for it, and the log says so",
        arguments: Engine.shared
    )
    func noRoomLeft(engine: Engine) async throws {
        let settings =
            engine == .postgres
            ? ["max_connections=16", "superuser_reserved_connections=1", "max_wal_senders=0"] : ["max-connections=15"]
        try await withServer(engine, settings: settings) { database, directory in
            let proxy = try await CuttingProxy(to: database.port, engine)
            let direct = database.endpoint(database: "faults")
            let through = direct.replacingOccurrences(of: ":\(database.port)/", with: ":\(proxy.port)/")
            let drover = try await TestServer.drover(directory: directory, endpoint: through)
            let connection = try await drover.connect()
            let watch = try await WatchCollector(drover, prefix: "m/")
            try await put(connection, "m/1", "before")
            // The writer's connection is lost with its next batch, and others take what room there is.
            proxy.cutAll()
            let lost = proxy.cuts
            let during = Task { try await put(connection, "m/2", "during") }
            try await wait(5) { proxy.cuts > lost }
            let others = try OtherClients(of: database, directory)
            defer { others.leave() }
            try await wait(15) { try others.fill() }
            proxy.pass()
            // The first call's time may be over: the writer looks for a connection while somebody waits for it.
            let probe = Task { try? await put(connection, "probe", "") }
            // The call ends as in an outage, for it is one; whether it was done is told by the store.
            await #expect {
                try await during.value
            } throws: {
                ($0 as? ClientError)?.code == 14
            }
            try await wait(10) {
                drover.process.log.split(separator: "\n").contains {
                    $0.contains("the database is away") && $0.contains("max_connections")
                }
            }
            #expect(drover.process.isRunning)
            others.leave()
            _ = await probe.value
            try await wait(20) { (try? await put(connection, "m/3", "after")) != nil }
            let there = try await get(connection, "m/2").kvs.isEmpty ? [] : ["during"]
            try await watch.wait(for: 2 + there.count)
            let values = await watch.events.map { String(decoding: $0.kv.value, as: UTF8.self) }
            #expect(values == ["before"] + there + ["after"])
            drover.process.stop()
            await proxy.close()
        }
    }
}

/// Clients of a database server that are connected and do nothing.
private final class OtherClients {
    private let database: any DatabaseServer
    private let directory: String
    private var clients: [ChildProcess] = []
    private var refusals = 0

    init(of database: any DatabaseServer, _ directory: String) throws {
        self.database = database
        self.directory = directory
        if mkfifo("\(directory)/input", 0o600) != 0 { throw ServerFailure("no pipe can be made") }
    }

    /// One more, unless the server has no room for it; whether it has none.
    func fill() throws -> Bool {
        do {
            try database.sql("SELECT 1", database: nil)
        } catch {
            // One may have met a connection that the proxy has made and cuts.
            refusals += 1
            return refusals == 5
        }
        refusals = 0
        // Opened for both, a pipe has neither end nor input: the client connects and waits for what it is to do.
        let words = ["-c", "exec \"$@\" <> \(directory)/input", "sh"] + (try database.client(database: nil))
        clients.append(try ChildProcess("/bin/sh", words, log: "\(directory)/clients.log"))
        return false
    }

    func leave() {
        for client in clients { client.signal(SIGKILL) }
        clients = []
    }
}
