import DroverClient
import EtcdAPI
import Foundation
import TestSupport
import Testing

extension SystemTests {
    /// `RangeStream`, of etcd 3.7.
    @Suite("lists in parts")
    struct RangeStreams {
        @Test("parts stay short where long values come behind many short ones")
        func rangeStreamBytes() async throws {
            try await withTemporaryDirectory { directory in
                let server = try await TestServer.drover(directory: directory)
                let connection = try await server.connect()
                for start in stride(from: 0, to: 25_000, by: 100) {
                    let puts = (start..<(start + 100)).map { i in
                        PBRequestOp.with { $0.requestPut = .with { $0.key = Data("a\(100_000 + i)".utf8) } }
                    }
                    let _: PBTxnResponse = try await connection.unary(
                        "/etcdserverpb.KV/Txn",
                        PBTxnRequest.with { $0.success = puts }
                    )
                }
                for i in 0..<60 { try await put(connection, "b\(100 + i)", Data(repeating: 1, count: 500_000)) }
                let call = try await connection.open("/etcdserverpb.KV/RangeStream")
                try await call.send(
                    PBRangeRequest.with {
                        $0.key = Data("a".utf8)
                        $0.rangeEnd = Data("c".utf8)
                    }
                )
                try await call.finishSending()
                var (keys, longest) = (0, 0)
                var last = PBRangeResponse()
                for try await message in call.messages {
                    longest = max(longest, message.readableBytes)
                    last = try PBRangeStreamResponse(serializedBytes: Array(message.readableBytesView)).rangeResponse
                    keys += last.kvs.count
                }
                #expect(keys == 25_060 && last.count == 25_060 && !last.more)
                #expect(longest < 3 << 20, "\(longest)")
                server.process.stop()
            }
        }

        @Test("a list in parts is the list", arguments: Engine.selected)
        func rangeStreams(engine: Engine) async throws {
            try await withTemporaryDirectory { directory in
                let server = try await TestServer.drover(directory: directory, engine: engine)
                let connection = try await server.connect()
                for i in 0..<500 { try await put(connection, "k\(1_000 + i)", Data(repeating: 1, count: i * 10)) }
                func parts(_ request: PBRangeRequest) async throws -> [PBRangeResponse] {
                    let call = try await connection.open("/etcdserverpb.KV/RangeStream")
                    try await call.send(request)
                    try await call.finishSending()
                    var parts: [PBRangeResponse] = []
                    for try await message in call.messages {
                        parts.append(
                            try PBRangeStreamResponse(serializedBytes: Array(message.readableBytesView)).rangeResponse
                        )
                    }
                    return parts
                }
                let base = PBRangeRequest.with {
                    $0.key = Data("k".utf8)
                    $0.rangeEnd = Data("l".utf8)
                }
                let changes: [(inout PBRangeRequest) -> Void] = [
                    { _ in }, { $0.limit = 37 }, { $0.keysOnly = true }, { $0.countOnly = true }, { $0.revision = 100 },
                    { $0.key = Data("none".utf8) }, { $0.rangeEnd = Data() },
                    {
                        $0.key = Data("k1003".utf8); $0.rangeEnd = Data()
                    }, { $0.sortOrder = .ascend },
                ]
                for (place, change) in changes.enumerated() {
                    var request = base
                    change(&request)
                    let whole: PBRangeResponse = try await connection.unary("/etcdserverpb.KV/Range", request)
                    let found = try await parts(request)
                    #expect(found.flatMap(\.kvs) == whole.kvs, "\(place)")
                    // What is said of the whole comes last.
                    #expect(found.last?.header == whole.header && found.last?.count == whole.count, "\(place)")
                    #expect(found.last?.more == whole.more, "\(place)")
                    #expect(found.dropLast().allSatisfy { !$0.hasHeader && $0.count == 0 && !$0.more })
                    if whole.kvs.count > 20 { #expect(found.count > 2 && found[0].kvs.count == 10) }
                }
                for (change, message) in [
                    ({ $0.sortTarget = .mod }, "etcdserver: RangeStream does not support custom sort orders"),
                    ({ $0.sortOrder = .descend }, "etcdserver: RangeStream does not support custom sort orders"),
                    ({ $0.minModRevision = 3 }, "etcdserver: RangeStream does not support revision filters"),
                ] as [((inout PBRangeRequest) -> Void, String)] {
                    var request = base
                    change(&request)
                    let refused = request
                    await #expect(throws: ClientError(code: 12, message: message)) { _ = try await parts(refused) }
                }
                server.process.stop()
            }
        }
    }
}
