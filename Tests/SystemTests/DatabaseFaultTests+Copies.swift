import DroverClient
import EtcdAPI
import Foundation
import TestSupport
import Testing

extension SystemTests.DatabaseFaults {
    @Test(
        "a copy that was put back is refused by who has seen more, though others have written past it; a history that went on is not",
        arguments: Engine.shared
    )
    func copyWrittenPast(engine: Engine) async throws {
        try await withServer(engine) { database, directory in
            let endpoint = try database.endpoint(database: "faults")
            func serve(_ name: String) async throws -> TestServer {
                try await TestServer.drover(directory: directory, endpoint: endpoint, log: "\(name).log")
            }
            let writer = try await serve("writer")
            // One that is only read and watched.
            let idle = try await serve("idle")
            let watch = try await WatchCollector(idle, prefix: "b/")
            let connection = try await writer.connect()
            for i in 0..<5 { try await put(connection, "a/\(i)", "1") }
            let data = "\(directory)/\(engine == .postgres ? "pg" : "my")/data"
            database.stop()
            _ = try run("/bin/cp", ["-a", data, "\(data)-old"])
            try database.start()
            // One that looks at what others commit for its counts alone.
            let counter = try await serve("counter")
            let counting = try await counter.connect()
            func count() async throws -> Int64 {
                var request = PBRangeRequest()
                request.key = Data("b/".utf8)
                request.rangeEnd = Data("b0".utf8)
                request.countOnly = true
                let reply: PBRangeResponse = try await counting.unary("/etcdserverpb.KV/Range", request)
                return reply.count
            }
            #expect(try await count() == 0)
            for i in 0..<5 { try await put(connection, "b/\(i)", "2") }
            try await watch.wait(for: 5)
            #expect(try await count() == 5)

            // What they have seen last is superseded and compacted away meanwhile: nothing is lost.
            for server in [writer, idle] { server.process.signal(SIGSTOP) }
            database.stop()
            try database.start()
            // Or the sweep would wait for their watches for ten seconds.
            try database.sql("DELETE FROM drover_instance", database: "faults")
            let third = try await serve("third")
            let throughThird = try await third.connect()
            var newest: Int64 = 0
            for i in 0..<5 { newest = try await put(throughThird, "b/\(i)", "3") }
            var compaction = PBCompactionRequest()
            compaction.revision = newest
            compaction.physical = true
            let _: PBCompactionResponse = try await throughThird.unary("/etcdserverpb.KV/Compact", compaction)
            third.process.stop()
            for server in [writer, idle] { server.process.signal(SIGCONT) }
            try await wait(30) { (try? await put(connection, "c", "4")) != nil }
            #expect(try await get(connection, "b/4").kvs.first?.value == Data("3".utf8))
            try await wait(30) { (try? await count()) == 5 }
            for server in [writer, idle, counter] { #expect(!server.process.log.contains("lost revisions")) }
            counter.process.stop()
            // The one before may have been cancelled: what it had not been told was compacted.
            let later = try await WatchCollector(idle, prefix: "b/")

            for server in [writer, idle] { server.process.signal(SIGSTOP) }
            database.stop()
            _ = try run("/bin/rm", ["-rf", data])
            _ = try run("/bin/mv", ["\(data)-old", data])
            try database.start()
            let fourth = try await serve("fourth")
            let throughFourth = try await fourth.connect()
            for _ in 0..<40 { try await put(throughFourth, "d", "5") }
            for server in [writer, idle] { server.process.signal(SIGCONT) }
            try await expectLost(idle, later)
            try await wait(30) {
                do {
                    try await put(connection, "e", "6")
                    Issue.record("went on in another history")
                    return true
                } catch {
                    return (error as? ClientError)?.message.contains("lost revisions") == true
                }
            }
            // Who knows of nothing else goes on.
            #expect(try await put(throughFourth, "f", "7") == 47)
            for server in [writer, idle, fourth] { server.process.stop() }
        }
    }
}
