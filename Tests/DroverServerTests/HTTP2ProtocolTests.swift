import Drover
import DroverClient
import DroverSQLite
import EtcdAPI
import Foundation
import Logging
import NIOCore
import Synchronization
import TestSupport
import Testing

@testable import DroverServer

/// Runs `body` with a server on a store of its own, and its port.
func withServer<R>(
    _ configure: (inout ServerConfiguration) -> Void = { _ in },
    _ body: (Server, Int) async throws -> R
) async throws -> R {
    try await withServerAndFile(configure) { server, port, _ in try await body(server, port) }
}

/// As ``withServer(_:_:)``, also with the path of the store's file.
func withServerAndFile<R>(
    _ configure: (inout ServerConfiguration) -> Void = { _ in },
    _ body: (Server, Int, String) async throws -> R
) async throws -> R {
    try await withTemporaryDirectory { directory in
        var quiet = Logger(label: "test")
        quiet.logLevel = .critical
        var storeConfiguration = StoreConfiguration()
        storeConfiguration.logger = quiet
        let store = try await Store.open(
            sqlite: SQLiteConfiguration(path: "\(directory)/s.db"),
            configuration: storeConfiguration
        )
        var configuration = ServerConfiguration()
        configuration.address = .tcp(host: "127.0.0.1", port: 0)
        configuration.logger = quiet
        configuration.shutdownGraceSeconds = 1
        configure(&configuration)
        let server = try await Server.start(store, configuration: configuration)
        guard case .tcp(_, let port) = server.address else { fatalError() }
        do {
            let result = try await body(server, port, "\(directory)/s.db")
            await server.shutDown()
            await store.close()
            return result
        } catch {
            await server.shutDown()
            await store.close()
            throw error
        }
    }
}

/// Whether the server still answers.
func expectAlive(_ port: Int) async throws {
    let connection = try await EtcdConnection.connect(host: "127.0.0.1", port: port)
    let request = PBRangeRequest.with { $0.key = Data([1]) }
    let _: PBRangeResponse = try await connection.unary("/etcdserverpb.KV/Range", request)
    await connection.close()
}

@Suite("HTTP/2, spoken well and badly", .serialized, .timeLimit(.minutes(5)))
struct HTTP2ProtocolTests {
    private let range = "/etcdserverpb.KV/Range"
    private let getA: [UInt8] = [0x0a, 1, 0x61]

    private func text(_ frames: [(kind: UInt8, flags: UInt8, stream: UInt32, payload: [UInt8])]) -> String {
        String(decoding: frames.flatMap(\.payload), as: UTF8.self)
    }

    @Test("a call whose bytes come one at a time")
    func byteByByte() async throws {
        try await withServer { _, port in
            let raw = try RawConnection(port: port)
            for byte in Frames.hello + Frames.call(1, range, getA) { raw.send([byte]) }
            let reply = raw.receive { String(decoding: $0, as: UTF8.self).contains("grpc-status\u{1}0") }
            let frames = Frames.parse(reply)
            #expect(frames.contains { $0.kind == 0 && $0.stream == 1 })
            #expect(text(frames).contains("grpc-status\u{1}0"))
        }
    }

    @Test(
        "calls that cannot be answered get a status",
        arguments: [
            ("/etcdserverpb.KV/Nothing", "unknown method Nothing for service etcdserverpb.KV", "12"),
            ("/nobody.Home/Range", "unknown service nobody.Home", "12"),
            ("/nonsense", "malformed method name", "12"),
        ]
    )
    func unknown(path: String, message: String, code: String) async throws {
        try await withServer { _, port in
            let raw = try RawConnection(port: port)
            raw.send(Frames.hello + Frames.call(1, path, getA))
            let reply = raw.receive { String(decoding: $0, as: UTF8.self).contains("grpc-message") }
            #expect(text(Frames.parse(reply)).contains(message))
            #expect(text(Frames.parse(reply)).contains(code))
        }
    }

    @Test("compressed messages, cut messages, messages that are too long")
    func badMessages() async throws {
        try await withServer { _, port in
            func ask(_ bytes: [UInt8]) throws -> String {
                let raw = try RawConnection(port: port)
                raw.send(Frames.hello + bytes)
                return text(Frames.parse(raw.receive { String(decoding: $0, as: UTF8.self).contains("grpc-message") }))
            }
            let snappy = Frames.literal("grpc-encoding", "snappy")
            #expect(try ask(Frames.call(1, range, getA, extra: snappy)).contains("grpc-accept-encoding"))
            let gzip = Frames.literal("grpc-encoding", "gzip")
            let notGzip =
                Frames.frame(1, 4, 1, Frames.request(range) + gzip) + Frames.frame(0, 1, 1, [1, 0, 0, 0, 3] + getA)
            #expect(try ask(notGzip).contains("damaged"))
            // 64 MiB of zeros in 64 KiB: more than a message may be.
            var zeros = MessageBuffer.make(ByteBufferAllocator(), capacity: 64 << 20)
            zeros.writeRepeatingByte(0, count: 64 << 20)
            MessageBuffer.seal(&zeros)
            let bomb = Array(MessageEncoding.gzip.encoded(zeros, ByteBufferAllocator()).readableBytesView)
            #expect(bomb.count < 1 << 20)
            let parts = stride(from: 0, to: bomb.count, by: 16_000).flatMap {
                Frames.frame(0, 0, 1, Array(bomb[$0..<min($0 + 16_000, bomb.count)]))
            }
            let large = Frames.frame(1, 4, 1, Frames.request(range) + gzip) + parts
            #expect(try ask(large).contains("larger than max"))
            let flagged = Frames.frame(1, 4, 1, Frames.request(range)) + Frames.frame(0, 1, 1, [1, 0, 0, 0, 3] + getA)
            #expect(try ask(flagged).contains("names no encoding"))
            let cut = Frames.frame(1, 4, 1, Frames.request(range)) + Frames.frame(0, 1, 1, [0, 0, 0, 0, 9] + getA)
            #expect(try ask(cut).contains("ended without a message"))
            let garbage = Frames.call(1, range, [0x0a, 0xff, 0xff])
            #expect(try ask(garbage).contains("not valid protobuf"))
            let long = Frames.frame(1, 4, 1, Frames.request(range)) + Frames.frame(0, 0, 1, [0, 0x7f, 0, 0, 0])
            #expect(try ask(long).contains("larger than max"))
            try await expectAlive(port)
        }
    }

    @Test("what is compressed is the same once inflated, and short or dense messages stay as they are")
    func encodings() throws {
        var random = SeededGenerator(seed: 7)
        for length in [0, 1, 1_023, 1_024, 5_000, 300_000] {
            for isDense in [true, false] {
                var message = MessageBuffer.make(ByteBufferAllocator(), capacity: length)
                message.writeBytes(
                    (0..<length).map { isDense ? UInt8.random(in: 0...255, using: &random) : UInt8($0 % 7) }
                )
                MessageBuffer.seal(&message)
                var sent = MessageEncoding.gzip.encoded(message, ByteBufferAllocator())
                let flag = sent.readInteger(as: UInt8.self)
                #expect(flag == (isDense || length < 1_024 ? 0 : 1))
                #expect(sent.readInteger(as: UInt32.self).map(Int.init) == sent.readableBytes)
                let plain =
                    flag == 0 ? sent : MessageEncoding.inflated(sent, limit: length, ByteBufferAllocator()).message
                #expect(plain?.readableBytesView.elementsEqual(message.readableBytesView.dropFirst(5)) == true)
                if flag == 1 {
                    let tooLong = MessageEncoding.inflated(sent, limit: length - 1, ByteBufferAllocator())
                    guard case .tooLong = tooLong else {
                        Issue.record("\(tooLong)")
                        continue
                    }
                    #expect(
                        MessageEncoding.inflated(
                            sent.getSlice(at: sent.readerIndex, length: sent.readableBytes / 2)!,
                            limit: length,
                            ByteBufferAllocator()
                        ).message == nil
                    )
                }
            }
        }
    }

    @Test("a request over the limit but within what is read gets etcd's error")
    func tooLarge() async throws {
        try await withServer { _, port in
            let connection = try await EtcdConnection.connect(host: "127.0.0.1", port: port)
            var put = PBPutRequest()
            put.key = Data("big".utf8)
            put.value = Data(repeating: 0, count: 1_600_000)
            await #expect(throws: ClientError(code: 3, message: "etcdserver: request is too large")) {
                let _: PBPutResponse = try await connection.unary("/etcdserverpb.KV/Put", put)
            }
            put.value = Data(repeating: 0, count: 1_500_000)
            let reply: PBPutResponse = try await connection.unary("/etcdserverpb.KV/Put", put)
            #expect(reply.header.revision == 2)
            await connection.close()
        }
    }

    @Test(
        "broken frames end the connection with the right code, and no other",
        arguments: [
            ("data on stream 0", Frames.frame(0, 0, 0, [1]), UInt8(1)),
            ("data on an idle stream", Frames.frame(0, 0, 5, [1]), UInt8(1)),
            ("headers on an even stream", Frames.frame(1, 5, 2, Frames.request("/x")), UInt8(1)),
            ("a ping of seven bytes", Frames.frame(6, 0, 0, Array(repeating: 0, count: 7)), UInt8(6)),
            ("a window update of zero", Frames.frame(8, 0, 0, [0, 0, 0, 0]), UInt8(1)),
            ("a window that overflows", Frames.frame(8, 0, 0, [0x7f, 0xff, 0xff, 0xff]), UInt8(3)),
            ("settings of five bytes", Frames.frame(4, 0, 0, [0, 0, 0, 0, 0]), UInt8(6)),
            ("a frame that is too long", [0xff, 0xff, 0xff, 0, 0, 0, 0, 0, 1], UInt8(6)),
            ("a continuation of nothing", Frames.frame(9, 4, 1, []), UInt8(1)),
            (
                "headers broken by another frame",
                Frames.frame(1, 0, 1, [0x88]) + Frames.frame(6, 0, 0, Array(repeating: 0, count: 8)), UInt8(1)
            ),
            ("a header index that does not exist", Frames.frame(1, 5, 1, [0xff, 0x7f]), UInt8(9)),
            (
                "a huffman code that does not exist",
                Frames.frame(1, 5, 1, [0x00, 0x84, 0xff, 0xff, 0xff, 0xff, 0x00]), UInt8(9)
            ),
            ("a table larger than allowed", Frames.frame(1, 5, 1, [0x3f, 0xe2, 0x1f]), UInt8(9)),
            ("a push promise", Frames.frame(5, 4, 1, [0, 0, 0, 2]), UInt8(1)),
            ("a reset of an idle stream", Frames.frame(3, 0, 9, [0, 0, 0, 8]), UInt8(1)),
            ("padding longer than the frame", Frames.frame(1, 0x0d, 1, [200, 0x88]), UInt8(1)),
        ] as [(String, [UInt8], UInt8)]
    )
    func brokenFrames(name: String, bytes: [UInt8], code: UInt8) async throws {
        try await withServer { _, port in
            let raw = try RawConnection(port: port)
            raw.send(Frames.hello + bytes)
            #expect(Frames.goAway(raw.receive()) == code, "\(name)")
            try await expectAlive(port)
        }
    }

    @Test("a client that opens no window keeps its reply waiting and nobody else's")
    func closedWindow() async throws {
        try await withServer { _, port in
            let connection = try await EtcdConnection.connect(host: "127.0.0.1", port: port)
            var put = PBPutRequest()
            put.key = Data("a".utf8)
            put.value = Data(repeating: 7, count: 200_000)
            let _: PBPutResponse = try await connection.unary("/etcdserverpb.KV/Put", put)
            let raw = try RawConnection(port: port)
            // A window of ten bytes for every stream.
            raw.send(Frames.preface + Frames.frame(4, 0, 0, [0, 4, 0, 0, 0, 10]))
            raw.send(Frames.call(1, range, getA))
            var got = raw.receive { Frames.parse($0).contains { $0.kind == 0 } }
            #expect(Frames.parse(got).filter { $0.kind == 0 }.reduce(0) { $0 + $1.payload.count } == 10)
            for _ in 0..<20 { _ = try await connection.unary(range, getA) }
            // The window opens, for the stream and the connection: the rest comes.
            raw.send(Frames.frame(8, 0, 1, [0, 0x10, 0, 0]) + Frames.frame(8, 0, 0, [0, 0x10, 0, 0]))
            got += raw.receive { String(decoding: $0.suffix(64), as: UTF8.self).contains("grpc-status") }
            let data = Frames.parse(got).filter { $0.kind == 0 }.reduce(0) { $0 + $1.payload.count }
            #expect(data > 200_000)
            await connection.close()
        }
    }

    @Test("a window that is opened by settings lets what waits go on")
    func windowBySettings() async throws {
        try await withServer { _, port in
            let connection = try await EtcdConnection.connect(host: "127.0.0.1", port: port)
            var put = PBPutRequest()
            put.key = Data("a".utf8)
            put.value = Data(repeating: 7, count: 40_000)
            let _: PBPutResponse = try await connection.unary("/etcdserverpb.KV/Put", put)
            let raw = try RawConnection(port: port)
            raw.send(Frames.preface + Frames.frame(4, 0, 0, [0, 4, 0, 0, 0, 10]))
            raw.send(Frames.call(1, range, getA))
            var got = raw.receive { Frames.parse($0).contains { $0.kind == 0 } }
            // The connection's own window is wide enough; that of the streams becomes so.
            raw.send(Frames.frame(4, 0, 0, [0, 4, 0, 1, 0, 0]))
            got += raw.receive { String(decoding: $0.suffix(64), as: UTF8.self).contains("grpc-status") }
            let data = Frames.parse(got).filter { $0.kind == 0 }.reduce(0) { $0 + $1.payload.count }
            #expect(data > 40_000)
            await connection.close()
        }
    }

    @Test("shutting down lets calls finish and ends watches so that clients reconnect")
    func shutdown() async throws {
        try await withServer { server, port in
            let connection = try await EtcdConnection.connect(host: "127.0.0.1", port: port)
            let call = try await connection.open("/etcdserverpb.Watch/Watch")
            var create = PBWatchRequest()
            create.createRequest.key = Data("a".utf8)
            try await call.send(create)
            let messages = call.messages.makeAsyncIterator()
            let first = try #require(try await messages.next())
            #expect(try PBWatchResponse(serializedBytes: Array(first.readableBytesView)).created)
            async let down: Void = server.shutDown()
            do {
                _ = try await messages.next()
                Issue.record("the watch ended without an error")
            } catch let error as ClientError {
                #expect(error.code == 14)
            }
            await down
        }
    }

    @Test("a watch that asked for fragments gets long responses in parts, others in one")
    func fragments() async throws {
        try await withServer({ $0.limits.watchFragmentBytes = 10_000 }) { _, port in
            let connection = try await EtcdConnection.connect(host: "127.0.0.1", port: port)
            for fragment in [true, false] {
                var txn = PBTxnRequest()
                for i in 0..<50 {
                    var operation = PBRequestOp()
                    operation.requestPut.key = Data("f/\(i)".utf8)
                    operation.requestPut.value = Data(repeating: 1, count: 1_000)
                    txn.success.append(operation)
                }
                let written: PBTxnResponse = try await connection.unary("/etcdserverpb.KV/Txn", txn)
                let call = try await connection.open("/etcdserverpb.Watch/Watch")
                var create = PBWatchRequest()
                create.createRequest.key = Data("f/".utf8)
                create.createRequest.rangeEnd = Data("f0".utf8)
                create.createRequest.startRevision = written.header.revision
                create.createRequest.fragment = fragment
                try await call.send(create)
                var parts: [PBWatchResponse] = []
                for try await message in call.messages {
                    parts.append(try PBWatchResponse(serializedBytes: Array(message.readableBytesView)))
                    if parts.reduce(0, { $0 + $1.events.count }) == 50 { break }
                }
                #expect(parts[0].created && parts[0].events.isEmpty)
                let events = parts.dropFirst()
                #expect(events.count == (fragment ? 6 : 1))
                #expect(events.dropLast().allSatisfy { $0.fragment } && events.last?.fragment == false)
                await call.cancel()
            }
            await connection.close()
        }
    }

    @Test("a whole list streams, equal to its pages")
    func wholeList() async throws {
        try await withServer { _, port in
            let connection = try await EtcdConnection.connect(host: "127.0.0.1", port: port)
            for batch in 0..<60 {
                var txn = PBTxnRequest()
                for i in 0..<100 {
                    var operation = PBRequestOp()
                    operation.requestPut.key = Data("list/\(batch)/\(i)".utf8)
                    operation.requestPut.value = Data(repeating: UInt8(i), count: 1_000)
                    txn.success.append(operation)
                }
                let _: PBTxnResponse = try await connection.unary("/etcdserverpb.KV/Txn", txn)
            }
            var request = PBRangeRequest()
            request.key = Data("list/".utf8)
            request.rangeEnd = Data("list0".utf8)
            // Not cancelled: that would leave a put on its way.
            let isDone = Mutex(false)
            let writer = Task {
                var i = 0
                while !isDone.withLock({ $0 }) {
                    var put = PBPutRequest()
                    put.key = Data("list/\(i % 60)/\(i % 100)".utf8)
                    put.value = Data(repeating: 0xff, count: 500 + i % 1_000)
                    let _: PBPutResponse = try await connection.unary("/etcdserverpb.KV/Put", put)
                    i += 1
                }
            }
            for _ in 0..<5 {
                request.limit = 0
                request.revision = 0
                let whole: PBRangeResponse = try await connection.unary(range, request)
                #expect(whole.count == 6_000 && whole.kvs.count == 6_000 && !whole.more)
                var paged: [PBKeyValue] = []
                request.limit = 1_700
                request.revision = whole.header.revision
                var start = request.key
                while true {
                    var page = request
                    page.key = start
                    let reply: PBRangeResponse = try await connection.unary(range, page)
                    paged += reply.kvs
                    #expect(reply.count == Int64(6_000 - paged.count + reply.kvs.count))
                    guard reply.more, let last = reply.kvs.last else { break }
                    start = last.key + Data([0])
                }
                #expect(paged == whole.kvs)
            }
            isDone.withLock { $0 = true }
            try await writer.value
            // The same list in JSON, put together as it is read.
            request.limit = 0
            request.revision = 0
            let whole: PBRangeResponse = try await connection.unary(range, request)
            for version in ["--http1.1", "--http2-prior-knowledge"] {
                let body = #"{"key":"bGlzdC8=","range_end":"bGlzdDA="}"#
                let text = try run(
                    find("curl")!,
                    ["-sS", version, "http://127.0.0.1:\(port)/v3/kv/range", "-d", body]
                ).output
                #expect(try PBRangeResponse(jsonString: text) == whole)
            }
            await connection.close()
        }
    }
}
