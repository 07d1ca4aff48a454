import DroverClient
import EtcdAPI
import Foundation
import Synchronization
import TestSupport
import Testing

extension SystemTests {
    @Suite("killed under load")
    struct Crashes {
        /// What a writer knows of its key: the last value acknowledged and, if a call was cut, the one in doubt.
        private struct Known: Sendable {
            var acknowledged = 0
            var revision: Int64 = 0
            var inDoubt: Int?
        }

        @Test(
            "kill -9 in a loop: nothing acknowledged is lost, watches miss and repeat nothing",
            arguments: Engine.selected
        )
        func killLoop(engine: Engine) async throws {
            let rounds = engine == .sqlite ? TestScale.killRounds : TestScale.killRounds * 2 / 5
            try await withTemporaryDirectory { directory in
                var known = Array(repeating: Known(), count: 8)
                var counter = 0
                var watched: [Int64] = []
                var resumeAt: Int64 = 2
                let port = freePort()
                for round in 0..<rounds {
                    let server = try await TestServer.drover(directory: directory, engine: engine, port: port)
                    let connection = try await server.connect()
                    for lane in known.indices { try await check(connection, lane, &known[lane], round) }

                    let collector = Task { [resumeAt] in try await collect(connection, from: resumeAt) }
                    let snapshot = known
                    let start = counter
                    let results = await withTaskGroup(of: (Int, Known).self) { group in
                        for lane in snapshot.indices {
                            group.addTask { (lane, await write(connection, lane, snapshot[lane], start)) }
                        }
                        group.addTask { [resumeAt] in
                            try? await Task.sleep(nanoseconds: UInt64.random(in: 20_000_000...120_000_000))
                            // In the middle of a sweep, too: of what no watch will ask for.
                            let sweep = Task { try await compact(connection, resumeAt - 1) }
                            try? await Task.sleep(nanoseconds: UInt64.random(in: 0...8_000_000))
                            defer { sweep.cancel() }
                            server.process.signal(SIGKILL)
                            return (-1, Known())
                        }
                        return await group.reduce(into: [(Int, Known)]()) { $0.append($1) }
                    }
                    for (lane, state) in results where lane >= 0 { known[lane] = state }
                    counter += 1_000_000
                    server.process.wait()
                    let seen = (try? await collector.value) ?? []
                    watched += seen
                    if let last = seen.last { resumeAt = last + 1 }
                    await connection.close()
                }
                let server = try await TestServer.drover(directory: directory, engine: engine, port: port)
                let connection = try await server.connect()
                for lane in known.indices { try await check(connection, lane, &known[lane], rounds) }
                var everything = PBRangeRequest()
                everything.key = Data([0])
                everything.rangeEnd = Data([0])
                let reply: PBRangeResponse = try await connection.unary("/etcdserverpb.KV/Range", everything)
                let total = reply.kvs.reduce(0) { $0 + $1.version }
                // Every write made one revision, and no revision is missing.
                #expect(total == reply.header.revision - 1)
                #expect(watched == Array(2..<(2 + Int64(watched.count))))
                #expect(watched.count > rounds)
                // The sweeps that were cut off have left nothing wrong: what is live is all there after a whole one.
                try await compact(connection, reply.header.revision, physical: true)
                let after: PBRangeResponse = try await connection.unary("/etcdserverpb.KV/Range", everything)
                #expect(after.kvs == reply.kvs)
                await connection.close()
                server.process.stop()
            }
        }

        private func compact(_ connection: EtcdConnection, _ revision: Int64, physical: Bool = false) async throws {
            var request = PBCompactionRequest()
            request.revision = revision
            request.physical = physical
            let _: PBCompactionResponse = try await connection.unary("/etcdserverpb.KV/Compact", request)
        }

        private func key(_ lane: Int) -> Data { Data("lane/\(lane)".utf8) }

        private func check(_ connection: EtcdConnection, _ lane: Int, _ known: inout Known, _ round: Int) async throws {
            var request = PBRangeRequest()
            request.key = key(lane)
            let reply: PBRangeResponse = try await connection.unary("/etcdserverpb.KV/Range", request)
            let value = reply.kvs.first.flatMap { Int(String(decoding: $0.value, as: UTF8.self)) } ?? 0
            #expect(
                value == known.acknowledged || value == known.inDoubt,
                "round \(round): an acknowledged write is gone or another is there"
            )
            #expect(reply.header.revision >= known.revision, "round \(round): the revision went back")
            known.acknowledged = value
            known.inDoubt = nil
            known.revision = max(known.revision, reply.header.revision)
        }

        private func write(_ connection: EtcdConnection, _ lane: Int, _ known: Known, _ start: Int) async -> Known {
            var known = known
            var number = start
            while true {
                number += 1
                var put = PBPutRequest()
                put.key = key(lane)
                put.value = Data("\(number)".utf8)
                do {
                    let reply: PBPutResponse = try await connection.unary("/etcdserverpb.KV/Put", put)
                    known.acknowledged = number
                    known.revision = reply.header.revision
                } catch {
                    known.inDoubt = number
                    return known
                }
            }
        }

        private func collect(_ connection: EtcdConnection, from revision: Int64) async throws -> [Int64] {
            var create = PBWatchRequest()
            create.createRequest.key = Data([0])
            create.createRequest.rangeEnd = Data([0])
            create.createRequest.startRevision = revision
            let call = try await connection.open("/etcdserverpb.Watch/Watch")
            try await call.send(create)
            var seen: [Int64] = []
            do {
                for try await message in call.messages {
                    let response = try PBWatchResponse(serializedBytes: Array(message.readableBytesView))
                    seen += response.events.map(\.kv.modRevision)
                }
            } catch {}
            return seen
        }
    }
}
