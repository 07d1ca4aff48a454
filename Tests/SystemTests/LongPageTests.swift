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

        @Test("pages that come to more than they seemed to are whole", arguments: Engine.selected)
        func pages(engine: Engine) async throws {
            try await withTemporaryDirectory { directory in
                let server = try await TestServer.drover(directory: directory, engine: engine)
                let connection = try await server.connect()
                func put(_ i: Int, _ byte: UInt8) async throws {
                    try await self.put(connection, "k\(1_000 + i)", Data(repeating: byte, count: Self.lengths[i]))
                }
                for i in Self.lengths.indices { try await put(i, 1) }
                // What has changed since is found by another way at the revision before.
                for i in stride(from: 0, to: 700, by: 3) { try await put(i, 2) }
                for (revision, byte) in [(0, { $0 % 3 == 0 ? 2 : 1 }), (701, { _ in 1 })] as [(Int64, (Int) -> UInt8)] {
                    for (first, limit) in [(0, 300), (0, 400), (0, 500), (0, 0), (100, 250), (390, 500), (319, 2)] {
                        let reply: PBRangeResponse = try await connection.unary(
                            "/etcdserverpb.KV/Range",
                            PBRangeRequest.with {
                                $0.key = Data("k\(1_000 + first)".utf8)
                                $0.rangeEnd = Data("l".utf8)
                                $0.limit = Int64(limit)
                                $0.revision = revision
                            }
                        )
                        let left = 700 - first
                        let shown = limit == 0 ? left : min(limit, left)
                        #expect(reply.kvs.count == shown && reply.count == left && reply.more == (shown < left))
                        let isRight = zip(reply.kvs, first...).allSatisfy { row, i in
                            row.key == Data("k\(1_000 + i)".utf8)
                                && row.value == Data(repeating: byte(i), count: Self.lengths[i])
                        }
                        #expect(isRight, "from \(first), \(limit) at \(revision)")
                    }
                }
                server.process.stop()
            }
        }

        private func put(_ connection: EtcdConnection, _ key: String, _ value: Data) async throws {
            let request = PBPutRequest.with {
                $0.key = Data(key.utf8)
                $0.value = value
            }
            let _: PBPutResponse = try await connection.unary("/etcdserverpb.KV/Put", request)
        }
    }
}
