import DroverClient
import EtcdAPI
import Foundation
import TestSupport
import Testing

extension SystemTests {
    @Suite("many watches over the wire")
    struct WatchScale {
        private static let connections = 10
        private static let watchesPerStream = 500

        private func prefix(_ text: String, startRevision: Int64 = 0) -> PBWatchRequest {
            var request = PBWatchRequest()
            request.createRequest.key = Data(text.utf8)
            request.createRequest.rangeEnd = Data(text.utf8.dropLast()) + Data([text.utf8.last! + 1])
            request.createRequest.startRevision = startRevision
            return request
        }

        /// Opens streams of many watches each, and returns for each stream and watch the revisions it was told of.
        private func watch(
            _ server: TestServer,
            _ key: String,
            startRevision: Int64,
            events: Int,
            whenCreated: @escaping @Sendable () async -> Void
        ) async throws -> [[Int64: [Int64]]] {
            try await withThrowingTaskGroup(of: [Int64: [Int64]].self) { group in
                for _ in 0..<Self.connections {
                    group.addTask {
                        let connection = try await server.connect()
                        let call = try await connection.open("/etcdserverpb.Watch/Watch")
                        for _ in 0..<Self.watchesPerStream {
                            try await call.send(prefix(key, startRevision: startRevision))
                        }
                        var created = 0
                        var seen: [Int64: [Int64]] = [:]
                        var complete = 0
                        for try await message in call.messages {
                            let response = try PBWatchResponse(serializedBytes: Array(message.readableBytesView))
                            if response.created {
                                created += 1
                                if created == Self.watchesPerStream { await whenCreated() }
                            }
                            guard !response.events.isEmpty else { continue }
                            seen[response.watchID, default: []] += response.events.map(\.kv.modRevision)
                            if seen[response.watchID]!.count == events { complete += 1 }
                            if complete == Self.watchesPerStream { break }
                        }
                        await call.cancel()
                        await connection.close()
                        return seen
                    }
                }
                return try await group.reduce(into: []) { $0.append($1) }
            }
        }

        @Test("5,000 watches on one server each get each event once, in order")
        func fanOut() async throws {
            try await withTemporaryDirectory { directory in
                let server = try await TestServer.drover(directory: directory)
                let writer = try await server.connect()
                let ready = Countdown(Self.connections)
                async let streams = watch(server, "f/", startRevision: 0, events: 20) { ready.arrive() }
                await ready.wait()
                for i in 0..<20 {
                    var put = PBPutRequest()
                    put.key = Data("f/\(i % 7)".utf8)
                    let _: PBPutResponse = try await writer.unary("/etcdserverpb.KV/Put", put)
                }
                let seen = try await streams
                #expect(seen.count == Self.connections)
                for stream in seen {
                    #expect(stream.count == Self.watchesPerStream)
                    #expect(stream.values.allSatisfy { $0 == Array(2...21) })
                }
                try await wait(10) { try server.metric("etcd_debugging_mvcc_watcher_total") == 0 }
                await writer.close()
                server.process.stop()
            }
        }

        @Test("5,000 watches that resume 50,000 revisions back are caught up in a handful of passes over the log")
        func resume() async throws {
            try await withTemporaryDirectory { directory in
                let server = try await TestServer.drover(directory: directory)
                let writer = try await server.connect()
                let load = try #require(find("h2load"), "there is no h2load; `make test` installs it")
                var other = PBPutRequest()
                other.key = Data("q/other".utf8)
                let message = try other.serializedBytes() as [UInt8]
                let frame = "\(directory)/frame"
                try Data([0, 0, 0, 0, UInt8(message.count)] + message).write(to: URL(fileURLWithPath: frame))
                for i in 0..<10 {
                    // One event in five hundred is for the watches.
                    for j in 0..<10 {
                        var put = PBPutRequest()
                        put.key = Data("r/\(i)/\(j)".utf8)
                        let _: PBPutResponse = try await writer.unary("/etcdserverpb.KV/Put", put)
                    }
                    let result = try run(
                        load,
                        [
                            "-n", "4990", "-c", "5", "-m", "20", "-d", frame, "-H", "content-type: application/grpc",
                            "http://127.0.0.1:\(server.port)/etcdserverpb.KV/Put",
                        ]
                    )
                    #expect(result.output.contains("4990 succeeded"))
                }
                let before = try server.metric("drover_watch_passes_total")
                let started = ContinuousClock.now
                let seen = try await watch(server, "r/", startRevision: 2, events: 100) {}
                let taken = started.duration(to: .now)
                let passes = try server.metric("drover_watch_passes_total") - before
                print("5,000 watches resumed 50,000 revisions back in \(taken), \(passes) passes over the log")
                for stream in seen {
                    #expect(stream.count == Self.watchesPerStream)
                    let first = try #require(stream.values.first)
                    #expect(first == first.sorted() && Set(first).count == 100)
                    #expect(stream.values.allSatisfy { $0 == first })
                }
                #expect(passes <= 500, "\(passes) passes for 5,000 watches")
                await writer.close()
                server.process.stop()
            }
        }
    }
}

/// Waits until so many have arrived.
private actor Countdown {
    private var left: Int
    private var waiting: [CheckedContinuation<Void, Never>] = []

    init(_ count: Int) { left = count }

    nonisolated func arrive() { Task { await self.one() } }

    private func one() {
        left -= 1
        if left == 0 {
            for continuation in waiting { continuation.resume() }
            waiting = []
        }
    }

    func wait() async {
        if left <= 0 { return }
        await withCheckedContinuation { waiting.append($0) }
    }
}
