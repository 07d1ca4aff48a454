import DroverClient
import EtcdAPI
import Foundation
import TestSupport
import Testing

extension SystemTests.DatabaseFaults {
    /// Etcd always makes a watch, and its clients take one that is refused for ended; a stream that ends they open anew.
    @Test(
        "a watch that cannot be made for want of the database ends its stream, for the client to come again",
        arguments: Engine.shared
    )
    func watchInOutage(engine: Engine) async throws {
        try await withServer(engine) { database, directory in
            let drover = try await TestServer.drover(
                directory: directory,
                endpoint: database.endpoint(database: "faults")
            )
            let connection = try await drover.connect()
            database.stop()
            let call = try await connection.open("/etcdserverpb.Watch/Watch")
            try await call.send(PBWatchRequest.with { $0.createRequest.key = Data("a".utf8) })
            var messages = 0
            await #expect {
                for try await _ in call.messages { messages += 1 }
            } throws: {
                ($0 as? ClientError)?.code == 14
            }
            #expect(messages == 0)
            try database.start()
            let watch = try await WatchCollector(drover, prefix: "a")
            let _: PBPutResponse = try await connection.unary(
                "/etcdserverpb.KV/Put",
                PBPutRequest.with { $0.key = Data("a".utf8) }
            )
            for _ in 0..<500 where await watch.revisions.isEmpty { try await Task.sleep(nanoseconds: 10_000_000) }
            #expect(await watch.revisions.count == 1)
            await connection.close()
            drover.process.stop()
        }
    }
}
