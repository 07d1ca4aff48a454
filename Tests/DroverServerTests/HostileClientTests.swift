import DroverClient
import EtcdAPI
import Foundation
import TestSupport
import Testing

@testable import DroverServer

/// What costs a client little and could cost the server, and so all other clients, much.
@Suite("clients that ask for more than they send", .serialized, .timeLimit(.minutes(3)))
struct HostileClientTests {
    private let range = "/etcdserverpb.KV/Range"
    private let watch = "/etcdserverpb.Watch/Watch"
    private let getA: [UInt8] = [0x0a, 1, 0x61]
    private let ping = Frames.frame(6, 0, 0, [1, 2, 3, 4, 5, 6, 7, 8])

    private func number(_ value: UInt32) -> [UInt8] { (0..<4).map { UInt8(value >> (24 - 8 * $0) & 255) } }

    private func setting(_ name: UInt8, _ value: UInt32) -> [UInt8] { [0, name] + number(value) }

    private func message(_ bytes: [UInt8]) -> [UInt8] { [0] + number(UInt32(bytes.count)) + bytes }

    private func isAnswered(_ bytes: [UInt8]) -> Bool { Frames.parse(bytes).contains { $0.kind == 6 && $0.flags == 1 } }

    /// Begins streams and has each of them end, until the server has had enough; whether it had.
    private func isCutOff(_ port: Int, each ending: (UInt32) -> [UInt8]) throws -> Bool {
        let raw = try RawConnection(port: port)
        raw.send(Frames.hello)
        var stream: UInt32 = 1
        for _ in 0..<200 {
            var chunk: [UInt8] = []
            for _ in 0..<200 {
                chunk += Frames.frame(1, 4, stream, Frames.request(watch)) + ending(stream)
                stream += 2
            }
            if !raw.send(chunk) { return true }
        }
        return Frames.goAway(raw.receive()) == 11
    }

    /// How long the server takes to answer a ping that comes behind what it was sent before.
    private func pingTime(_ raw: RawConnection) -> Duration {
        let begun = ContinuousClock.now
        raw.send(ping)
        _ = raw.receive(until: isAnswered)
        return begun.duration(to: .now)
    }

    @Test("floods are cut off: pings, resets, empty data, header bombs")
    func floods() async throws {
        try await withServer { _, port in
            func flood(_ unit: [UInt8], start: [UInt8] = []) throws -> UInt8? {
                let raw = try RawConnection(port: port)
                raw.send(Frames.hello + start)
                let chunk = Array(repeating: unit, count: 500).flatMap { $0 }
                for _ in 0..<400 where !raw.send(chunk) { break }
                return Frames.goAway(raw.receive())
            }
            // The connection may be gone before its last words are read: then the reset says it.
            let ping = try flood(Frames.frame(6, 0, 0, Array(repeating: 0, count: 8)))
            #expect(ping == 11 || ping == nil)
            let settings = try flood(Frames.frame(4, 0, 0, []))
            #expect(settings == 11 || settings == nil)
            let open = Frames.frame(1, 4, 1, Frames.request("/etcdserverpb.Watch/Watch"))
            let empty = try flood(Frames.frame(0, 0, 1, []), start: open)
            #expect(empty == 11 || empty == nil)
            let bomb = try flood(
                Frames.frame(9, 0, 1, Array(repeating: 0x82, count: 1_000)),
                start: Frames.frame(1, 0, 1, [])
            )
            #expect(bomb == 11 || bomb == nil)
            let isCut = try isCutOff(port) { Frames.frame(3, 0, $0, [0, 0, 0, 8]) }
            #expect(isCut)
            try await expectAlive(port)
        }
    }

    @Test("a client that sends and never reads is not read from for ever, and its neighbours are answered")
    func unread() async throws {
        try await withServer { _, port in
            let raw = try RawConnection(port: port)
            // No stream of its may send anything.
            raw.send(Frames.preface + Frames.frame(4, 0, 0, [0, 4, 0, 0, 0, 0]))
            raw.send(Frames.frame(1, 4, 1, Frames.request("/etcdserverpb.Watch/Watch")))
            raw.isNonblocking = true
            // Watches of one number, of which each brings an answer.
            let create: [UInt8] = try PBWatchRequest.with {
                $0.createRequest.key = Data("a".utf8)
                $0.createRequest.watchID = 7
            }.serializedBytes()
            let one = [0, 0, 0, 0, UInt8(create.count)] + create
            let requests = Frames.frame(0, 0, 1, Array(repeating: one, count: 1_000).flatMap { $0 })
            var sent = 0
            for _ in 0..<2_000 {
                guard raw.send(requests) else { break }
                sent += requests.count
                try await Task.sleep(nanoseconds: 200_000)
            }
            // Two windows of a stream and what the sockets hold, or the stream was reset for what it sent beyond its window;
            // the connection is not closed for it.
            raw.isNonblocking = false
            let frames = Frames.parse(raw.receive { Frames.parse($0).contains { $0.kind == 3 } })
            let isReset = frames.contains { $0.kind == 3 && $0.stream == 1 && $0.payload == [0, 0, 0, 3] }
            #expect(sent < 16 << 20 || isReset, "\(sent) bytes were taken")
            try await expectAlive(port)
        }
    }

    @Test("progress that is asked for without end is not answered without end")
    func progress() async throws {
        try await withServer { _, port in
            let before = residentBytes()
            let raw = try RawConnection(port: port)
            raw.send(Frames.hello + Frames.frame(1, 4, 1, Frames.request(watch)))
            // Many watches in step, and one that never is: etcd says nothing then, and each of the others is told here.
            var creates: [UInt8] = []
            for i in 0...500 {
                let create = PBWatchRequest.with {
                    $0.createRequest.key = Data("w\(i)".utf8)
                    if i == 500 { $0.createRequest.startRevision = 1 << 62 }
                }
                creates += message(try create.serializedBytes())
            }
            raw.send(Frames.frame(0, 0, 1, creates))
            _ = raw.receive { bytes in
                Frames.parse(bytes).count { $0.kind == 0 } > 500
            }
            raw.isNonblocking = true
            let requests = Frames.frame(0, 0, 1, Array(repeating: message([0x1a, 0]), count: 2_000).flatMap { $0 })
            for _ in 0..<100 where !raw.send(requests) { break }
            let other = try await EtcdConnection.connect(host: "127.0.0.1", port: port)
            let begun = ContinuousClock.now
            let stream = try await other.open(watch)
            try await stream.send(PBWatchRequest.with { $0.createRequest.key = Data("a".utf8) })
            let answers = stream.messages.makeAsyncIterator()
            #expect(try await answers.next() != nil)
            #expect(begun.duration(to: .now) < .seconds(4))
            #expect(residentBytes() - before < 48 << 20)
            await other.close()
        }
    }

    @Test("requests of progress that come together are each answered, up to a limit")
    func fewProgress() async throws {
        try await withServer { _, port in
            let raw = try RawConnection(port: port)
            let create = try PBWatchRequest.with { $0.createRequest.key = Data("w".utf8) }.serializedBytes() as [UInt8]
            let asks = message([0x1a, 0]) + message([0x1a, 0])
            raw.send(Frames.hello + Frames.frame(1, 4, 1, Frames.request(watch)))
            raw.send(Frames.frame(0, 0, 1, message(create) + asks))
            let seen = raw.receive { bytes in Frames.parse(bytes).count { $0.kind == 0 } == 3 }
            #expect(Frames.parse(seen).count { $0.kind == 0 } == 3)
        }
    }

    @Test("a connection's window that opens byte by byte, before thousands of replies")
    func slowWindow() async throws {
        try await withServer { _, port in
            let connection = try await EtcdConnection.connect(host: "127.0.0.1", port: port)
            let put = PBPutRequest.with {
                $0.key = Data("a".utf8)
                $0.value = Data(repeating: 7, count: 70_000)
            }
            let _: PBPutResponse = try await connection.unary("/etcdserverpb.KV/Put", put)
            let raw = try RawConnection(port: port)
            raw.send(Frames.preface + Frames.frame(4, 0, 0, setting(4, 0x7fff_ffff)))
            raw.send(Frames.call(1, range, getA))
            for i in 1...20_000 { raw.send(Frames.call(UInt32(2 * i + 1), range, [0x0a, 1, 0x62])) }
            raw.send(Array(repeating: Frames.frame(8, 0, 0, number(1)), count: 20_000).flatMap { $0 })
            #expect(pingTime(raw) < .seconds(4))
            // All of them are answered once there is room.
            raw.send(Frames.frame(8, 0, 0, number(1 << 24)))
            let seen = raw.receive { bytes in
                bytes.count > 1_500_000 && Frames.parse(bytes).count { $0.kind == 1 && $0.flags & 1 == 1 } == 20_001
            }
            #expect(Frames.parse(seen).count { $0.kind == 1 && $0.flags & 1 == 1 } > 19_000)
            await connection.close()
        }
    }

    @Test("settings that change every stream's window again and again")
    func settings() async throws {
        try await withServer { _, port in
            let raw = try RawConnection(port: port)
            raw.send(Frames.hello)
            for i in 0..<20_000 { raw.send(Frames.frame(1, 4, UInt32(2 * i + 1), Frames.request(watch))) }
            #expect(pingTime(raw) < .seconds(5))
            let many = (0..<2_700).flatMap { setting(4, UInt32(1_000 + $0 % 2)) }
            for _ in 0..<20 { raw.send(Frames.frame(4, 0, 0, many)) }
            #expect(pingTime(raw) < .seconds(4))
            // More of them than any client needs.
            for i in 0..<20_000 where !raw.send(Frames.frame(4, 0, 0, setting(4, UInt32(i % 2)))) { break }
            let end = Frames.goAway(raw.receive())
            #expect(end == 11 || end == nil)
        }
    }

    @Test("faults that have the server reset streams count as resets do")
    func provoked() async throws {
        try await withServer { _, port in
            let isCut = try isCutOff(port) { Frames.frame(8, 0, $0, number(0)) }
            #expect(isCut)
        }
    }

    @Test("a client that takes its compression table back is told that none is used, once")
    func tableSize() async throws {
        try await withServer { _, port in
            let raw = try RawConnection(port: port)
            raw.send(Frames.preface + Frames.frame(4, 0, 0, setting(1, 0)))
            raw.send(Frames.call(1, range, getA) + Frames.call(3, range, getA))
            let seen = raw.receive { bytes in Frames.parse(bytes).count { $0.kind == 1 && $0.flags & 1 == 1 } == 2 }
            let heads = Frames.parse(seen).filter { $0.kind == 1 }
            #expect(heads.count == 4)
            #expect(heads.first?.payload.prefix(2) == [0x20, 0x88])
            #expect(heads.dropFirst().allSatisfy { $0.payload.first != 0x20 })
        }
    }

    @Test("transactions in transactions of JSON, each with a great many in it")
    func nested() async throws {
        try await withServer { _, port in
            for depth in [140, 480] {
                var body = #"{"success":["# + Array(repeating: "{}", count: 800_000).joined(separator: ",") + "]}"
                for _ in 0..<depth { body = #"{"success":[{"request_txn":"# + body + "}]}" }
                let head = "POST /v3/kv/txn HTTP/1.1\r\nhost: x\r\nconnection: close\r\ncontent-length: "
                let raw = try RawConnection(port: port, patience: 60)
                let begun = ContinuousClock.now
                raw.send(Array((head + "\(body.utf8.count)\r\n\r\n" + body).utf8))
                let reply = String(decoding: raw.receive(), as: UTF8.self)
                #expect(reply.hasPrefix("HTTP/1.1 400 "), "\(reply.prefix(300))")
                #expect(begun.duration(to: .now) < .seconds(6), "\(depth)")
            }
        }
    }

    @Test("reads that nobody waits for any more are not made")
    func leftReads() async throws {
        try await withServer { _, port in
            let connection = try await EtcdConnection.connect(host: "127.0.0.1", port: port)
            for start in stride(from: 0, to: 20_000, by: 100) {
                let puts = (start..<(start + 100)).map { i in
                    PBRequestOp.with { $0.requestPut = .with { $0.key = Data("k\(i)".utf8) } }
                }
                let _: PBTxnResponse = try await connection.unary(
                    "/etcdserverpb.KV/Txn",
                    PBTxnRequest.with { $0.success = puts }
                )
            }
            // Sorted by value: each reads all keys.
            let sorted = PBRangeRequest.with {
                $0.key = Data([0])
                $0.rangeEnd = Data([0])
                $0.limit = 1
                $0.sortTarget = .value
                $0.sortOrder = .descend
            }
            let one: [UInt8] = try sorted.serializedBytes()
            let begun = ContinuousClock.now
            let _: PBRangeResponse = try await connection.unary(range, sorted)
            let alone = begun.duration(to: .now)
            do {
                let raw = try RawConnection(port: port)
                raw.send(Frames.hello)
                for i in 0..<2_000 { raw.send(Frames.call(UInt32(2 * i + 1), range, one)) }
                #expect(pingTime(raw) < .seconds(4))
            }
            let left = ContinuousClock.now
            let _: PBRangeResponse = try await connection.unary(range, sorted)
            #expect(left.duration(to: .now) < alone * 100 + .seconds(1), "one takes \(alone)")
            await connection.close()
        }
    }

    @Test("connections that say nothing count, and the rest of a greeting is not waited for without end")
    func silent() async throws {
        try await withServer {
            $0.limits.connections = 6
            $0.limits.greetingSeconds = 3
        } _: { _, port in
            var held: [RawConnection] = []
            for _ in 0..<6 { held.append(try RawConnection(port: port)) }
            held[0].send(Array(Frames.preface.prefix(18)))
            held[1].send(Frames.preface)
            try await Task.sleep(nanoseconds: 200_000_000)
            let refused = try RawConnection(port: port)
            #expect(refused.receive().isEmpty && !refused.wasSilent)
            #expect(held.allSatisfy { !$0.isClosedByPeer })
            for _ in 0..<100 where !held.allSatisfy({ $0.isClosedByPeer }) {
                try await Task.sleep(nanoseconds: 100_000_000)
            }
            #expect(held.allSatisfy { $0.isClosedByPeer })
            let connection = try await EtcdConnection.connect(host: "127.0.0.1", port: port)
            _ = try await connection.unary(range, getA)
            await connection.close()
        }
    }

    @Test(
        "a time limit that is none",
        arguments: ["", "S", "+5S", "-0S", "5", "123456789S", "12345678901234567890S", "5x", "5 S"]
    )
    func timeout(text: String) async throws {
        try await withServer { _, port in
            let raw = try RawConnection(port: port)
            raw.send(Frames.hello + Frames.call(1, range, getA, extra: Frames.literal("grpc-timeout", text)))
            let seen = raw.receive { Frames.parse($0).contains { $0.kind == 1 && $0.flags & 1 == 1 } }
            let end = String(decoding: Frames.parse(seen).last?.payload ?? [], as: UTF8.self)
            #expect(end.contains("13") && end.contains("malformed grpc-timeout"), "\(end)")
            let body = #"{"key":"YQ=="}"#
            let head = "POST /v3/kv/range HTTP/1.1\r\nhost: x\r\nconnection: close\r\ngrpc-timeout: \(text)\r\n"
            let json = try RawConnection(port: port)
            json.send(Array((head + "content-length: \(body.utf8.count)\r\n\r\n" + body).utf8))
            let reply = String(decoding: json.receive(), as: UTF8.self)
            // The gateway takes any number.
            if text == "123456789S" { return #expect(reply.hasPrefix("HTTP/1.1 200 "), "\(reply)") }
            #expect(reply.hasPrefix("HTTP/1.1 400 ") && reply.contains("invalid grpc-timeout"), "\(reply)")
        }
    }

    @Test("a client of HTTP/1.0 gets what is streamed as it is, and its end by the connection's")
    func withoutChunks() async throws {
        try await withServer { _, port in
            let raw = try RawConnection(port: port)
            let body = #"{"ID":"1"}"#
            let head = "POST /v3/lease/keepalive HTTP/1.0\r\nhost: x\r\ncontent-length: \(body.utf8.count)\r\n\r\n"
            raw.send(Array((head + body).utf8))
            let reply = String(decoding: raw.receive(), as: UTF8.self)
            #expect(!raw.wasSilent)
            let parts = reply.components(separatedBy: "\r\n\r\n")
            #expect(!parts[0].lowercased().contains("transfer-encoding"), "\(reply)")
            #expect(parts.count == 2 && parts[1].hasPrefix(#"{"result":"#) && parts[1].hasSuffix("}\n"), "\(reply)")
        }
    }
}
