import DroverClient
import EtcdAPI
import Foundation
import NIOCore
import TestSupport
import Testing

@testable import DroverServer

@Suite("flow control, whatever a client does with its windows", .serialized, .timeLimit(.minutes(2)))
struct FlowControlTests {
    private typealias Frame = (kind: UInt8, flags: UInt8, stream: UInt32, payload: [UInt8])

    private func number(_ value: UInt32) -> [UInt8] { (0..<4).map { UInt8(value >> (24 - 8 * $0) & 255) } }

    /// SETTINGS with the initial window of streams.
    private func initialWindow(_ bytes: UInt32) -> [UInt8] { Frames.frame(4, 0, 0, [0, 4] + number(bytes)) }

    private func windowUpdate(_ stream: UInt32, _ bytes: UInt32) -> [UInt8] {
        Frames.frame(8, 0, stream, number(bytes))
    }

    private func has(_ bytes: [UInt8], _ isWanted: (Frame) -> Bool) -> Bool {
        Frames.parse(bytes).contains(where: isWanted)
    }

    private func json(_ path: String, method: String = "POST") -> [UInt8] {
        Frames.literal(":method", method) + Frames.literal(":scheme", "http") + Frames.literal(":path", path)
            + Frames.literal(":authority", "x") + Frames.literal("content-type", "application/json")
    }

    private func message(_ bytes: [UInt8]) -> [UInt8] {
        let length = bytes.count
        return [0, 0, UInt8(length >> 16 & 255), UInt8(length >> 8 & 255), UInt8(length & 255)] + bytes
    }

    private func put(_ connection: EtcdConnection, _ key: String, _ bytes: Int) async throws {
        let request = PBPutRequest.with {
            $0.key = Data(key.utf8)
            $0.value = Data(repeating: 120, count: bytes)
        }
        let _: PBPutResponse = try await connection.unary("/etcdserverpb.KV/Put", request)
    }

    @Test("a window that is taken back below nothing does not keep a reply from its end")
    func windowTakenBack() async throws {
        try await withServer { _, port in
            let raw = try RawConnection(port: port)
            raw.send(Frames.hello + Frames.frame(1, 4, 1, json("/v3/lease/keepalive")))
            raw.send(Frames.frame(0, 0, 1, Array(#"{"ID":"1"}"#.utf8)))
            var seen = raw.receive { has($0) { $0.kind == 0 && !$0.payload.isEmpty } }
            #expect(has(seen) { $0.kind == 0 && !$0.payload.isEmpty })
            raw.send(initialWindow(0) + Frames.frame(0, 1, 1, []))
            seen = raw.receive { has($0) { $0.kind == 0 && $0.flags & 1 == 1 } }
            #expect(has(seen) { $0.kind == 0 && $0.flags & 1 == 1 && $0.stream == 1 && $0.payload.isEmpty })
            raw.send(Frames.frame(6, 0, 0, [1, 2, 3, 4, 5, 6, 7, 8]))
            #expect(has(raw.receive { has($0) { $0.kind == 6 } }) { $0.kind == 6 && $0.flags == 1 })
        }
    }

    @Test("where the connection's window is used up, what needs none goes on, and the rest comes when it opens")
    func blockedConnection() async throws {
        try await withServer { _, port in
            let raw = try RawConnection(port: port)
            let create = try PBWatchRequest.with { $0.createRequest.key = Data("w".utf8) }.serializedBytes() as [UInt8]
            raw.send(Frames.hello + initialWindow(0x7fff_ffff))
            raw.send(Frames.frame(1, 4, 1, Frames.request("/etcdserverpb.Watch/Watch")))
            raw.send(Frames.frame(0, 0, 1, message(create)))
            var seen = raw.receive { has($0) { $0.kind == 0 } }
            let connection = try await EtcdConnection.connect(host: "127.0.0.1", port: port)
            for _ in 0..<40 { try await put(connection, "w", 4_000) }
            // The same loop may serve both: a stream's end that has no bytes, and a page's preflight.
            raw.send(Frames.frame(1, 5, 3, json("/v3/lease/keepalive")))
            raw.send(Frames.frame(1, 5, 5, json("/", method: "OPTIONS")))
            seen += raw.receive { bytes in
                [3, 5].allSatisfy { stream in has(bytes) { $0.stream == stream && $0.flags & 1 == 1 } }
            }
            for stream in [3, 5] as [UInt32] { #expect(has(seen) { $0.stream == stream && $0.flags & 1 == 1 }) }
            func data(_ bytes: [UInt8]) -> Int {
                Frames.parse(bytes).reduce(0) { $0 + ($1.kind == 0 ? $1.payload.count : 0) }
            }
            #expect(data(seen) <= 65_535)
            try await put(connection, "other", 1)
            raw.send(windowUpdate(0, 1 << 24))
            seen += raw.receive { data(seen) + data($0) > 160_000 }
            #expect(data(seen) > 160_000)
            await connection.close()
        }
    }

    @Test("replies that waited for the connection's window all come once it is open, more than a round of them")
    func manyBlocked() async throws {
        try await withServer { _, port in
            let connection = try await EtcdConnection.connect(host: "127.0.0.1", port: port)
            try await put(connection, "long", 70_000)
            try await put(connection, "a", 8_000)
            let raw = try RawConnection(port: port)
            raw.send(Frames.hello + initialWindow(0x7fff_ffff))
            raw.send(Frames.call(1, "/etcdserverpb.KV/Range", [0x0a, 4] + Array("long".utf8)))
            // Each is one piece of data that ends its stream.
            let body = Array(#"{"key":"YQ=="}"#.utf8)
            for i in 1...300 {
                let stream = UInt32(2 * i + 1)
                raw.send(Frames.frame(1, 4, stream, json("/v3/kv/range")) + Frames.frame(0, 1, stream, body))
            }
            raw.send(Frames.frame(6, 0, 0, [1, 2, 3, 4, 5, 6, 7, 8]))
            var seen = raw.receive { has($0) { $0.kind == 6 } }
            raw.send(windowUpdate(0, 1 << 24))
            func ended(_ bytes: [UInt8]) -> Int { Frames.parse(bytes).count { $0.kind < 2 && $0.flags & 1 == 1 } }
            let before = seen
            seen = raw.receive { $0.count > 3_000_000 && ended(before + $0) == 301 }
            #expect(ended(before + seen) == 301)
            await connection.close()
        }
    }

    @Test("long requests that are sent at once all arrive, however many")
    func longRequests() async throws {
        try await withServer { _, port in
            let connection = try await EtcdConnection.connect(host: "127.0.0.1", port: port)
            let (count, bytes) = (120, 1_400_000)
            // Those that are given up meanwhile take nobody's room.
            let given = Task {
                await withTaskGroup(of: Void.self) { group in
                    for i in 0..<20 { group.addTask { try? await put(connection, "given/\(i)", bytes) } }
                }
            }
            try await withThrowingTaskGroup(of: Void.self) { group in
                for i in 0..<count { group.addTask { try await put(connection, "long/\(i)", bytes) } }
                given.cancel()
                try await group.waitForAll()
            }
            await given.value
            let reply: PBRangeResponse = try await connection.unary(
                "/etcdserverpb.KV/Range",
                PBRangeRequest.with {
                    $0.key = Data("long/".utf8)
                    $0.rangeEnd = Data("long0".utf8)
                    $0.countOnly = true
                }
            )
            #expect(reply.count == Int64(count))
            // One that sends many of them, one after the other, on one stream.
            for i in 0..<5 { try await put(connection, "again/\(i)", bytes) }
            await connection.close()
        }
    }

    @Test(
        "a long request whose frames are padded arrives, and one that halts holds others up for a few seconds at most"
    )
    func paddedRequest() async throws {
        try await withServer { _, port in
            let request = PBPutRequest.with {
                $0.key = Data("p".utf8)
                $0.value = Data(repeating: 120, count: 1_400_000)
            }
            let whole = message(try request.serializedBytes())
            let raw = try RawConnection(port: port)
            raw.send(Frames.hello + windowUpdate(0, 0x7fff_0000))
            // Twelve that begin and never go on: more than are let in at a time.
            for i in 0..<12 as Range<UInt32> {
                raw.send(Frames.frame(1, 4, 2 * i + 1, Frames.request("/etcdserverpb.KV/Put")))
                raw.send(Frames.frame(0, 0, 2 * i + 1, Array(whole.prefix(1_000))))
            }
            let stream: UInt32 = 101
            raw.send(Frames.frame(1, 4, stream, Frames.request("/etcdserverpb.KV/Put")))
            var window = 65_536
            var rest = whole[...]
            var seen: [UInt8] = []
            var counted = 0
            let begun = ContinuousClock.now
            while !rest.isEmpty && begun.duration(to: .now) < .seconds(60) {
                let count = min(8_000, rest.count, window - 101)
                if count <= 0 {
                    seen += raw.receive { new in
                        Frames.parse(seen + new).filter { $0.kind == 8 && $0.stream == stream }.count > counted
                    }
                    let updates = Frames.parse(seen).filter { $0.kind == 8 && $0.stream == stream }
                    for update in updates.dropFirst(counted) {
                        window += update.payload.reduce(0) { $0 << 8 | Int($1) }
                    }
                    counted = updates.count
                    continue
                }
                // A hundred bytes of padding.
                let payload = [100] + Array(rest.prefix(count)) + [UInt8](repeating: 0, count: 100)
                rest = rest.dropFirst(count)
                raw.send(Frames.frame(0, rest.isEmpty ? 9 : 8, stream, payload))
                window -= payload.count
            }
            let told = Frames.parse(seen).map { "\($0.kind) \($0.stream) \($0.payload.prefix(8))" }
            let left = rest.count
            #expect(left == 0, "\(told.suffix(20))")
            seen += raw.receive { has(seen + $0) { $0.stream == stream && $0.kind == 1 && $0.flags & 1 == 1 } }
            #expect(has(seen) { $0.stream == stream && $0.kind == 0 && $0.payload.count > 5 })
        }
    }

    @Test("messages that never end with a frame do not fill memory, in either form")
    func splitMessages() async throws {
        try await withServer { _, port in
            let before = residentBytes()
            // A field that nobody knows.
            let one = message([122, 0x80, 0x7d] + [UInt8](repeating: 7, count: 16_000))
            let wire = try RawConnection(port: port)
            wire.send(Frames.hello + Frames.frame(1, 4, 1, Frames.request("/etcdserverpb.Watch/Watch")))
            wire.send(Frames.frame(0, 0, 1, Array(one.prefix(1))))
            let shifted = Frames.frame(0, 0, 1, Array(one.dropFirst() + one.prefix(1)))
            for _ in 0..<12_000 where !wire.send(shifted) { break }
            wire.send(Frames.frame(6, 0, 0, [1, 2, 3, 4, 5, 6, 7, 8]))
            #expect(has(wire.receive { has($0) { $0.kind == 6 } }) { $0.kind == 6 })
            let lines = try RawConnection(port: port)
            lines.send(Frames.hello + initialWindow(0x7fff_ffff) + windowUpdate(0, 0x7fff_0000))
            lines.send(Frames.frame(1, 4, 1, json("/v3/watch")))
            let line = Array(#"{"create_request":{"key":"\#(String(repeating: "A", count: 16_000))"#.utf8)
            for _ in 0..<3_000 where !lines.send(Frames.frame(0, 0, 1, line + Array("\"},\"x\":1\n}\n".utf8))) { break }
            lines.send(Frames.frame(6, 0, 0, [1, 2, 3, 4, 5, 6, 7, 8]))
            #expect(has(lines.receive { has($0) { $0.kind == 6 } }) { $0.kind == 6 })
            #expect(residentBytes() - before < 96 << 20)
        }
    }

    @Test("a client of HTTP/1.1 that asks and does not read is not read from")
    func unreadAnswers() async throws {
        try await withServer { _, port in
            let raw = try RawConnection(port: port)
            raw.send(Array("POST /v3/lease/keepalive HTTP/1.1\r\nhost: x\r\ntransfer-encoding: chunked\r\n\r\n".utf8))
            let asks = Array(String(repeating: #"{"ID":"1"}"#, count: 100).utf8)
            let piece = Array("3e8\r\n".utf8) + asks + Array("\r\n".utf8)
            raw.isNonblocking = true
            var taken = 0
            for _ in 0..<100 {
                while taken < 40 << 20, raw.send(piece) { taken += piece.count }
                try await Task.sleep(nanoseconds: 10_000_000)
            }
            #expect(taken < 40 << 20, "all of \(taken) bytes were taken, with replies of ten times as many")
        }
    }

    @Test("a long reply on its way when the server shuts down comes whole")
    func drain() async throws {
        try await withServer({ $0.shutdownGraceSeconds = 20 }) { server, port in
            let connection = try await EtcdConnection.connect(host: "127.0.0.1", port: port)
            for i in 0..<24 { try await put(connection, "d/\(i)", 1 << 20) }
            await connection.close()
            let raw = try RawConnection(port: port)
            let all = PBRangeRequest.with {
                $0.key = Data("d/".utf8)
                $0.rangeEnd = Data("d0".utf8)
            }
            raw.send(Frames.hello + initialWindow(0x7fff_ffff) + windowUpdate(0, 0x7fff_0000))
            raw.send(Frames.call(1, "/etcdserverpb.KV/Range", try all.serializedBytes()))
            try await Task.sleep(nanoseconds: 500_000_000)
            async let down: Void = server.shutDown()
            try await Task.sleep(nanoseconds: 500_000_000)
            let frames = Frames.parse(raw.receive())
            let bytes = frames.reduce(0) { $0 + ($1.kind == 0 ? $1.payload.count : 0) }
            #expect(bytes > 24 << 20, "\(bytes) bytes")
            #expect(frames.contains { $0.kind == 1 && $0.stream == 1 && $0.flags & 1 == 1 }, "there is no end")
            await down
        }
    }

    @Test("a reply to HEAD has no body, and the next one on its connection is whole")
    func head() async throws {
        try await withServer { _, port in
            let raw = try RawConnection(port: port)
            raw.send(Array("HEAD /nowhere HTTP/1.1\r\nhost: x\r\n\r\nGET /version HTTP/1.1\r\nhost: x\r\n\r\n".utf8))
            let text = String(
                decoding: raw.receive { String(decoding: $0, as: UTF8.self).contains("etcdserver") },
                as: UTF8.self
            )
            let parts = text.split(separator: "\r\n\r\n").map { $0.prefix(12) }
            #expect(
                parts.count == 3 && parts[0].hasPrefix("HTTP/1.1 404") && parts[1].hasPrefix("HTTP/1.1 200"),
                "\(text)"
            )
            let frames = try RawConnection(port: port)
            frames.send(Frames.hello + Frames.frame(1, 5, 1, json("/health", method: "HEAD")))
            let seen = frames.receive { has($0) { $0.stream == 1 && $0.flags & 1 == 1 } }
            #expect(has(seen) { $0.kind == 1 && $0.stream == 1 && $0.flags & 1 == 1 })
            #expect(!has(seen) { $0.kind == 0 })
        }
    }

    @Test("a watch far behind gets messages that any client takes, of whole revisions, in order")
    func longCatchUp() async throws {
        try await withServer { _, port in
            let connection = try await EtcdConnection.connect(host: "127.0.0.1", port: port)
            var events = 0
            for i in 0..<800 {
                let txn = PBTxnRequest.with { txn in
                    txn.success = (0..<(i % 100 == 0 ? 100 : 1)).map { place in
                        PBRequestOp.with {
                            $0.requestPut.key = Data("c/\(place)".utf8)
                            $0.requestPut.value = Data(repeating: UInt8(i & 255), count: 8_000)
                        }
                    }
                    events += txn.success.count
                }
                let _: PBTxnResponse = try await connection.unary("/etcdserverpb.KV/Txn", txn)
            }
            let call = try await connection.open("/etcdserverpb.Watch/Watch")
            try await call.send(
                PBWatchRequest.with {
                    $0.createRequest.key = Data("c/".utf8)
                    $0.createRequest.rangeEnd = Data("c0".utf8)
                    $0.createRequest.startRevision = 2
                }
            )
            var last: Int64 = 1
            var seen = 0
            for try await message in call.messages {
                #expect(message.readableBytes < 4 << 20)
                let response = try PBWatchResponse(serializedBytes: Array(message.readableBytesView))
                #expect(!response.fragment)
                if response.events.isEmpty { continue }
                let revisions = response.events.map(\.kv.modRevision)
                // The next response begins with another revision, and the header does not run ahead of what was sent.
                #expect(revisions[0] == last + 1 && revisions == revisions.sorted())
                last = revisions.last!
                seen += revisions.count
                #expect(response.header.revision == last || seen == events)
                if seen == events { break }
            }
            #expect(seen == events && last == 801)
            await connection.close()
        }
    }

    /// The messages of a stream, each with a length before it.
    private func messages(_ stream: UInt32, _ bytes: [UInt8]) -> [[UInt8]] {
        var rest = Frames.parse(bytes).filter { $0.kind == 0 && $0.stream == stream }.flatMap(\.payload)[...]
        var found: [[UInt8]] = []
        while rest.count >= 5 {
            let length = rest.prefix(5).dropFirst().reduce(0) { $0 << 8 | Int($1) }
            guard rest.count >= 5 + length else { break }
            found.append(Array(rest.dropFirst(5).prefix(length)))
            rest = rest.dropFirst(5 + length)
        }
        return found
    }

    @Test(
        "what several watches are told together comes whole to each, however small the pieces their windows let through"
    )
    func sharedEvents() async throws {
        try await withServer { _, port in
            let raw = try RawConnection(port: port)
            let create =
                try PBWatchRequest.with {
                    $0.createRequest.key = Data("w/".utf8)
                    $0.createRequest.rangeEnd = Data("w0".utf8)
                }.serializedBytes() as [UInt8]
            let watches: [UInt32] = [1, 3, 5]
            var seen: [UInt8] = []
            raw.send(Frames.hello + initialWindow(700))
            for stream in watches {
                raw.send(Frames.frame(1, 4, stream, Frames.request("/etcdserverpb.Watch/Watch")))
                raw.send(Frames.frame(0, 0, stream, message(create)))
            }
            raw.send(Frames.frame(1, 4, 7, json("/v3/watch")))
            raw.send(Frames.frame(0, 0, 7, Array(#"{"create_request":{"key":"dy8=","range_end":"dzA="}}"#.utf8)))
            seen += raw.receive { bytes in
                watches.allSatisfy { !messages($0, bytes).isEmpty } && has(bytes) { $0.kind == 0 && $0.stream == 7 }
            }
            let connection = try await EtcdConnection.connect(host: "127.0.0.1", port: port)
            let values = (0..<12).map { Data(repeating: UInt8(65 + $0), count: 2_000 + $0) }
            var txn = PBTxnRequest()
            for (i, value) in values.enumerated() {
                txn.success.append(
                    PBRequestOp.with {
                        $0.requestPut.key = Data("w/\(i)".utf8)
                        $0.requestPut.value = value
                    }
                )
            }
            let written: PBTxnResponse = try await connection.unary("/etcdserverpb.KV/Txn", txn)
            try await put(connection, "w/last", 10)
            // The first pieces come as far as the windows let them; each of these then lets some more through.
            func bytes(_ stream: UInt32, _ bytes: [UInt8]) -> Int {
                Frames.parse(bytes).reduce(0) { $0 + ($1.kind == 0 && $1.stream == stream ? $1.payload.count : 0) }
            }
            let created = seen
            seen += raw.receive { more in (watches + [7]).allSatisfy { bytes($0, created + more) == 700 } }
            for stream in watches + [7] { #expect(bytes(stream, seen) == 700) }
            for round in 0..<60 {
                for stream in watches + [7] { raw.send(windowUpdate(stream, UInt32(601 + 7 * round))) }
                raw.send(windowUpdate(0, UInt32(2_900)))
            }
            func events(_ stream: UInt32, _ bytes: [UInt8]) -> [PBEvent] {
                messages(stream, bytes).flatMap { (try? PBWatchResponse(serializedBytes: $0))?.events ?? [] }
            }
            func text(_ bytes: [UInt8]) -> String {
                let data = Frames.parse(bytes).filter { $0.kind == 0 && $0.stream == 7 }.flatMap(\.payload)
                return String(decoding: data, as: UTF8.self)
            }
            let last = Data("w/last".utf8).base64EncodedString()
            let before = seen
            seen += raw.receive { bytes in
                watches.allSatisfy { events($0, before + bytes).count == 13 } && text(before + bytes).contains(last)
            }
            for stream in watches {
                let told = events(stream, seen)
                #expect(told.prefix(12).map(\.kv.value) == values)
                #expect(told.prefix(12).allSatisfy { $0.kv.modRevision == written.header.revision })
                #expect(told.last?.kv.key == Data("w/last".utf8))
            }
            for value in values { #expect(text(seen).contains(value.base64EncodedString())) }
            await connection.close()
        }
    }
}
