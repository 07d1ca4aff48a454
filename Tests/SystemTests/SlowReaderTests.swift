import DroverClient
import EtcdAPI
import Foundation
import TestSupport
import Testing

extension SystemTests {
    @Suite("clients that stop reading")
    struct SlowReaders {
        /// Keys of 4,000 bytes.
        func fill(_ connection: EtcdConnection, _ count: Int) async throws {
            for i in 0..<count {
                var put = PBPutRequest()
                put.key = Data("p/\(i)".utf8)
                put.value = Data(repeating: UInt8(i & 255), count: 4_000)
                let _: PBPutResponse = try await connection.unary("/etcdserverpb.KV/Put", put)
            }
        }

        @Test("ten lists that nobody reads hold up neither writers nor the log, and stay small in memory")
        func stalledLists() async throws {
            try await withTemporaryDirectory { directory in
                let server = try await TestServer.drover(directory: directory)
                let connection = try await server.connect()
                let keys = TestScale.listKeys
                for batch in 0..<(keys / 100) {
                    var txn = PBTxnRequest()
                    for i in 0..<100 {
                        var operation = PBRequestOp()
                        operation.requestPut.key = Data("big/\(batch)/\(i)".utf8)
                        operation.requestPut.value = Data(repeating: UInt8(i), count: 4_000)
                        txn.success.append(operation)
                    }
                    let _: PBTxnResponse = try await connection.unary("/etcdserverpb.KV/Txn", txn)
                }
                let list: [UInt8] = [0x0a, 1, 0, 0x12, 1, 0]
                var stalled: [RawConnection] = []
                for _ in 0..<10 {
                    // Keys that were written thousands of times meanwhile take seconds to be found as they were.
                    let raw = try RawConnection(port: server.port, patience: 60)
                    // Windows for the whole list: what holds it back is the socket alone.
                    raw.send(Frames.preface + Frames.frame(4, 0, 0, [0, 4, 0x40, 0, 0, 0]))
                    raw.send(Frames.frame(8, 0, 0, [0x40, 0, 0, 0]))
                    raw.send(Frames.call(1, "/etcdserverpb.KV/Range", list))
                    stalled.append(raw)
                }
                let end = Date().addingTimeInterval(TestScale.stallSeconds)
                let latencies = await withTaskGroup(of: [Double].self) { group in
                    for lane in 0..<8 {
                        group.addTask {
                            var times: [Double] = []
                            var i = 0
                            while Date() < end {
                                var put = PBPutRequest()
                                put.key = Data("big/\(lane)/\(i % 100)".utf8)
                                put.value = Data(repeating: 9, count: 4_000)
                                i += 1
                                let start = Date()
                                let reply: PBPutResponse? = try? await connection.unary("/etcdserverpb.KV/Put", put)
                                #expect(reply != nil)
                                times.append(Date().timeIntervalSince(start))
                            }
                            return times
                        }
                    }
                    return await group.reduce(into: [Double]()) { $0 += $1 }.sorted()
                }
                #expect(latencies.count > 1_000)
                #expect(latencies[latencies.count * 99 / 100] < 0.25)
                let attributes = try FileManager.default.attributesOfItem(atPath: "\(directory)/drover.db-wal")
                let wal = (attributes[.size] as? NSNumber)?.intValue ?? 0
                #expect(wal < 300 << 20)
                #expect(resident(server.process.identifier) < 200 << 20)

                // Whoever reads again gets the whole list as it was at its revision.
                let resumed = Date()
                let reply = stalled[0].receive {
                    String(decoding: $0.suffix(64), as: UTF8.self).contains("grpc-status")
                }
                let frames = Frames.parse(reply).filter { $0.kind == 0 }
                print("\(latencies.count) puts meanwhile; the list took \(Date().timeIntervalSince(resumed)) s more")
                let others = Frames.parse(reply).filter { $0.kind != 0 && $0.kind != 1 }.suffix(3)
                #expect(
                    frames.reduce(0) { $0 + $1.payload.count } > keys * 4_000,
                    "silent: \(stalled[0].wasSilent); \(others.map { ($0.kind, $0.payload.prefix(64)) }); \(server.process.log.suffix(500))"
                )
                // A gigabyte is not decoded here.
                if keys > 20_000 {
                    await connection.close()
                    return server.process.stop()
                }
                let data = frames.flatMap(\.payload)
                let response = try PBRangeResponse(serializedBytes: Array(data.dropFirst(5)))
                #expect(response.count == Int64(keys) && response.kvs.count == keys)
                #expect(response.kvs.allSatisfy { $0.modRevision <= response.header.revision })
                await connection.close()
                server.process.stop()
            }
        }

        @Test("lists that nobody reads, on many connections, keep no other connection's lists waiting")
        func stalledBesideOthers() async throws {
            try await withTemporaryDirectory { directory in
                let server = try await TestServer.drover(directory: directory)
                let connection = try await server.connect()
                try await fill(connection, 2_000)
                // Half a megabyte each, of which the socket takes a part; together more than lists may have on their way.
                let page: [UInt8] = [0x0a, 1, 0, 0x12, 1, 0, 0x18, 0x7d]
                var stalled: [RawConnection] = []
                for _ in 0..<60 {
                    let raw = try RawConnection(port: server.port)
                    raw.send(Frames.preface + Frames.frame(4, 0, 0, []))
                    // Windows of 64 KiB that are never opened again.
                    for call in 0..<4 { raw.send(Frames.call(UInt32(2 * call + 1), "/etcdserverpb.KV/Range", page)) }
                    stalled.append(raw)
                }
                try await Task.sleep(for: .milliseconds(500))
                var times: [Double] = []
                // The machine may stand still for a moment; not three times.
                for _ in 0..<3 where times.isEmpty || times[50] >= 0.05 || times[99] >= 1 {
                    times = []
                    for _ in 0..<100 {
                        var range = PBRangeRequest()
                        range.key = Data("p/".utf8)
                        range.rangeEnd = Data("p0".utf8)
                        range.limit = 500
                        let start = Date()
                        let reply: PBRangeResponse = try await connection.unary("/etcdserverpb.KV/Range", range)
                        times.append(Date().timeIntervalSince(start))
                        #expect(reply.kvs.count == 500)
                    }
                    times.sort()
                }
                #expect(times[50] < 0.05, "the median is \(times[50]) s")
                // Each of the others' connections has a turn first: half a megabyte each, four for each two looks, 0.3 s in all.
                #expect(times[99] < 1, "the longest is \(times[99]) s")
                withExtendedLifetime(stalled) {}
                await connection.close()
                server.process.stop()
            }
        }

        @Test("a list that waited for others of its connection begins when those are reset")
        func waitingForReset() async throws {
            try await withTemporaryDirectory { directory in
                let server = try await TestServer.drover(directory: directory)
                let connection = try await server.connect()
                try await fill(connection, 150)
                let list: [UInt8] = [0x0a, 1, 0, 0x12, 1, 0]
                let raw = try RawConnection(port: server.port)
                // The connection's window never closes, each stream's after 64 KiB.
                raw.send(Frames.preface + Frames.frame(4, 0, 0, []))
                raw.send(Frames.frame(8, 0, 0, [0x40, 0, 0, 0]))
                for call in 0..<12 { raw.send(Frames.call(UInt32(2 * call + 1), "/etcdserverpb.KV/Range", list)) }
                try await Task.sleep(for: .milliseconds(500))
                // At once: between two of them a list that waits could begin.
                raw.send((0..<11).flatMap { Frames.frame(3, 0, UInt32(2 * $0 + 1), [0, 0, 0, 8]) })
                let reply = raw.receive { bytes in
                    Frames.parse(bytes).contains { $0.kind == 0 && $0.stream == 23 }
                }
                let begun = Set(Frames.parse(reply).filter { $0.kind == 0 }.map(\.stream))
                #expect(begun.contains(1) && begun.contains(23) && begun.count < 12, "begun: \(begun.sorted())")
                await connection.close()
                server.process.stop()
            }
        }

        func resident(_ process: Int32) -> Int {
            let status = (try? String(contentsOfFile: "/proc/\(process)/status", encoding: .utf8)) ?? ""
            let line = status.split(separator: "\n").first { $0.hasPrefix("VmRSS") }
            return (line?.split(separator: " ").compactMap { Int($0) }.first ?? 0) << 10
        }
    }
}
