import DroverClient
import EtcdAPI
import Foundation
import TestSupport
import Testing

extension SystemTests {
    /// Pages longer than a buffer, which are read in one go as long as they seem to stay short.
    @Suite("long pages")
    struct LongPages {
        /// Bytes of the value of each key: what comes first says nothing of what comes later, in either direction.
        private static let lengths = (0..<700).map { $0 < 320 ? 4_000 : $0 < 400 ? 40_000 : 100 }

        private static func key(_ i: Int) -> Data { Data("k\(1_000 + i)".utf8) }

        @Test("pages that come to more than they seemed to are whole", arguments: Engine.selected)
        func pages(engine: Engine) async throws {
            try await withTemporaryDirectory { directory in
                let server = try await TestServer.drover(directory: directory, engine: engine)
                let connection = try await server.connect()
                func put(_ i: Int, _ byte: UInt8) async throws {
                    try await self.put(connection, i, Data(repeating: byte, count: Self.lengths[i]))
                }
                for i in Self.lengths.indices { try await put(i, 1) }
                // What has changed since is found by another way at the revision before.
                for i in stride(from: 0, to: 700, by: 3) { try await put(i, 2) }
                for i in stride(from: 0, to: 700, by: 7) {
                    let _: PBDeleteRangeResponse = try await connection.unary(
                        "/etcdserverpb.KV/DeleteRange",
                        PBDeleteRangeRequest.with { $0.key = Self.key(i) }
                    )
                }
                for i in stride(from: 0, to: 700, by: 14) { try await put(i, 3) }
                func now(_ i: Int) -> UInt8? { i % 14 == 0 ? 3 : i % 7 == 0 ? nil : i % 3 == 0 ? 2 : 1 }
                for (revision, byte) in [(0, now), (701, { _ in 1 })] as [(Int64, (Int) -> UInt8?)] {
                    for (first, limit) in [
                        (0, 300), (0, 400), (0, 500), (0, 0), (100, 250), (320, 300), (390, 500), (319, 2),
                    ] {
                        var from = Self.key(first)
                        var rest = (first..<700).filter { byte($0) != nil }
                        // On as clients go on: from behind the last key.
                        repeat {
                            let reply: PBRangeResponse = try await connection.unary(
                                "/etcdserverpb.KV/Range",
                                PBRangeRequest.with {
                                    $0.key = from
                                    $0.rangeEnd = Data("l".utf8)
                                    $0.limit = Int64(limit)
                                    $0.revision = revision
                                }
                            )
                            let shown = limit == 0 ? rest.count : min(limit, rest.count)
                            #expect(reply.kvs.count == shown && reply.count == rest.count)
                            #expect(reply.more == (shown < rest.count))
                            let isRight = zip(reply.kvs, rest).allSatisfy { row, i in
                                row.key == Self.key(i)
                                    && row.value == Data(repeating: byte(i)!, count: Self.lengths[i])
                            }
                            #expect(isRight, "from \(from), \(limit) at \(revision)")
                            rest.removeFirst(shown)
                            from = (reply.kvs.last?.key ?? from) + [0]
                        } while !rest.isEmpty
                    }
                }
                server.process.stop()
            }
        }

        private func put(_ connection: EtcdConnection, _ i: Int, _ value: Data) async throws {
            let request = PBPutRequest.with {
                $0.key = Self.key(i)
                $0.value = value
            }
            let _: PBPutResponse = try await connection.unary("/etcdserverpb.KV/Put", request)
        }
    }
}
