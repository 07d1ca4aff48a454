import DroverClient
import EtcdAPI
import Foundation
import TestSupport
import Testing

@testable import DroverServer

/// The gateway's streams over WebSockets, as etcd's gateway has them too.
@Suite("WebSockets", .serialized, .timeLimit(.minutes(2)))
struct WebSocketTests {
    private typealias Frame = (opcode: UInt8, isLast: Bool, payload: [UInt8])

    private func handshake(_ path: String, _ headers: [String] = []) -> [UInt8] {
        let lines =
            [
                "GET \(path) HTTP/1.1", "Host: x", "Upgrade: websocket", "Connection: Upgrade",
                "Sec-WebSocket-Version: 13", "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==",
            ] + headers
        return Array((lines + ["", ""]).joined(separator: "\r\n").utf8)
    }

    /// A frame as clients send it, masked.
    private func frame(_ opcode: UInt8, _ payload: [UInt8], isLast: Bool = true) -> [UInt8] {
        var bytes: [UInt8] = [(isLast ? 0x80 : 0) | opcode]
        if payload.count < 126 {
            bytes.append(0x80 | UInt8(payload.count))
        } else if payload.count < 65_536 {
            bytes += [0x80 | 126, UInt8(payload.count >> 8), UInt8(payload.count & 255)]
        } else {
            bytes.append(0x80 | 127)
            bytes += (0..<8).map { UInt8(payload.count >> (56 - 8 * $0) & 255) }
        }
        let mask: [UInt8] = [1, 2, 3, 4]
        return bytes + mask + payload.enumerated().map { $1 ^ mask[$0 % 4] }
    }

    private func text(_ json: String) -> [UInt8] { frame(1, Array(json.utf8)) }

    /// The frames behind the handshake's answer.
    private func frames(_ bytes: [UInt8]) -> [Frame] {
        guard let end = bytes.firstRange(of: Array("\r\n\r\n".utf8)) else { return [] }
        return parse(Array(bytes[end.upperBound...]))
    }

    private func parse(_ bytes: [UInt8]) -> [Frame] {
        var rest = bytes[...]
        var frames: [Frame] = []
        while rest.count >= 2 {
            let (first, second) = (rest.removeFirst(), rest.removeFirst())
            let wide = second == 126 ? 2 : second == 127 ? 8 : 0
            guard rest.count >= wide else { break }
            let length = wide == 0 ? Int(second) : rest.prefix(wide).reduce(0) { $0 << 8 | Int($1) }
            rest = rest.dropFirst(wide)
            guard rest.count >= length else { break }
            frames.append((first & 15, first & 128 != 0, Array(rest.prefix(length))))
            rest = rest.dropFirst(length)
        }
        return frames
    }

    private func messages(_ frames: [Frame]) -> [String] {
        var messages: [String] = []
        var open: [UInt8] = []
        for frame in frames where frame.opcode < 2 {
            open += frame.payload
            if !frame.isLast { continue }
            messages.append(String(decoding: open, as: UTF8.self))
            open = []
        }
        return messages
    }

    private func put(_ connection: EtcdConnection, _ key: String, _ value: String) async throws {
        let request = PBPutRequest.with {
            $0.key = Data(key.utf8)
            $0.value = Data(value.utf8)
        }
        let _: PBPutResponse = try await connection.unary("/etcdserverpb.KV/Put", request)
    }

    @Test("watches are made on one, told a message each, asked for progress and cancelled")
    func watch() async throws {
        try await withServer { _, port in
            let connection = try await EtcdConnection.connect(host: "127.0.0.1", port: port)
            let raw = try RawConnection(port: port)
            raw.send(handshake("/v3/watch"))
            var seen = raw.receive { String(decoding: $0, as: UTF8.self).contains("\r\n\r\n") }
            let head = String(decoding: seen, as: UTF8.self).lowercased()
            #expect(head.hasPrefix("http/1.1 101 "))
            // The example of RFC 6455, 1.3.
            #expect(head.contains("sec-websocket-accept: s3pplmbitxaq9kygzzhzrbk+xoo="))
            for id in [7, 8] {
                let key = Data("w\(id)".utf8).base64EncodedString()
                raw.send(text(#"{"create_request":{"key":"\#(key)","watch_id":"\#(id)"}}"#))
            }
            seen += raw.receive { messages(frames(seen + $0)).count >= 2 }
            #expect(messages(frames(seen)).filter { $0.contains(#""created":true"#) }.count == 2)
            try await put(connection, "w7", "one")
            // One that is longer than a part of a reply, and so more than a frame.
            try await put(connection, "w8", String(repeating: "x", count: 700_000))
            seen += raw.receive { messages(frames(seen + $0)).count >= 4 }
            let events = messages(frames(seen)).dropFirst(2)
            #expect(events.count == 2 && events.allSatisfy { $0.hasPrefix(#"{"result":"#) && $0.hasSuffix("}}") })
            #expect(events.last?.utf8.count ?? 0 > 900_000)
            #expect(frames(seen).contains { !$0.isLast } && frames(seen).contains { $0.opcode == 0 })
            // A request in two frames.
            let progress = Array(#"{"progress_request":{}}"#.utf8)
            raw.send(frame(1, Array(progress.prefix(9)), isLast: false) + frame(0, Array(progress.dropFirst(9))))
            raw.send(frame(9, [1, 2, 3]))
            seen += raw.receive { bytes in
                frames(seen + bytes).contains { $0.opcode == 10 } && messages(frames(seen + bytes)).count >= 5
            }
            #expect(frames(seen).contains { $0.opcode == 10 && $0.payload == [1, 2, 3] })
            #expect(messages(frames(seen)).count == 5)
            raw.send(text(#"{"cancel_request":{"watch_id":"7"}}"#))
            seen += raw.receive { messages(frames(seen + $0)).count >= 6 }
            #expect(messages(frames(seen)).last?.contains(#""canceled":true"#) == true)
            // Closed by the client: the answer is a close, and the connection's end.
            raw.send(frame(8, [3, 0xe8]))
            let rest = raw.receive()
            #expect(parse(rest).last?.opcode == 8 && parse(rest).last?.payload.prefix(2) == [3, 0xe8])
            await connection.close()
        }
    }

    @Test("what cannot be a WebSocket is refused, and what breaks its rules is closed")
    func refused() async throws {
        try await withServer { _, port in
            func answer(_ bytes: [UInt8]) throws -> String {
                let raw = try RawConnection(port: port)
                raw.send(bytes)
                return String(
                    decoding: raw.receive { String(decoding: $0, as: UTF8.self).contains("\r\n\r\n") },
                    as: UTF8.self
                )
            }
            // A call with one answer, a path of nobody's, and a handshake without its key.
            #expect(try answer(handshake("/v3/kv/range")).hasPrefix("HTTP/1.1 501 "))
            #expect(try answer(handshake("/nowhere")).hasPrefix("HTTP/1.1 404 "))
            let plain = Array(
                "GET /v3/watch HTTP/1.1\r\nHost: x\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\r\n".utf8
            )
            #expect(try answer(plain).hasPrefix("HTTP/1.1 400 "))
            for bytes in [
                // Not masked; an opcode that there is none of; longer than any request.
                [0x81, 2, 0x7b, 0x7d], frame(3, [1]), [0x82, 0xff] + [0, 0, 0, 1, 0, 0, 0, 0] + [1, 2, 3, 4],
            ] as [[UInt8]] {
                let raw = try RawConnection(port: port)
                raw.send(handshake("/v3/watch"))
                _ = raw.receive { String(decoding: $0, as: UTF8.self).contains("\r\n\r\n") }
                raw.send(bytes)
                #expect(parse(raw.receive()).last?.opcode == 8)
            }
            // What is no document of the call ends it with the gateway's error.
            let raw = try RawConnection(port: port)
            raw.send(handshake("/v3/watch", ["Sec-WebSocket-Protocol: Bearer, nobody"]))
            let head = raw.receive { String(decoding: $0, as: UTF8.self).contains("\r\n\r\n") }
            #expect(String(decoding: head, as: UTF8.self).lowercased().contains("sec-websocket-protocol: bearer"))
            raw.send(text("[]"))
            let rest = parse(raw.receive())
            #expect(messages(rest).first?.hasPrefix(#"{"error":{"grpc_code":3"#) == true)
            #expect(rest.last?.opcode == 8)
        }
    }

    @Test(
        "what comes before the handshake is answered, or without asking for it aright, ends the connection or is plain"
    )
    func early() async throws {
        try await withServer { _, port in
            let next = Array("GET /version HTTP/1.1\r\nHost: x\r\n\r\n".utf8)
            // Without `Connection: Upgrade` it is a request as any other.
            let lines = [
                "GET /v3/watch HTTP/1.1", "Host: x", "Upgrade: websocket", "Sec-WebSocket-Version: 13",
                "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==", "", "",
            ]
            for whole in [handshake("/v3/watch"), Array(lines.joined(separator: "\r\n").utf8)] {
                for isDivided in [false, true] {
                    let raw = try RawConnection(port: port, patience: 1)
                    if isDivided {
                        raw.send(whole)
                        raw.send(next + next)
                    } else {
                        raw.send(whole + next + next)
                    }
                    _ = raw.receive()
                }
            }
            // The server is there yet.
            let raw = try RawConnection(port: port)
            raw.send(next)
            let text = String(
                decoding: raw.receive { String(decoding: $0, as: UTF8.self).contains("etcdserver") },
                as: UTF8.self
            )
            #expect(text.hasPrefix("HTTP/1.1 200 "))
        }
    }

    @Test("a server that stops says so, and closes")
    func shutDown() async throws {
        try await withServer { server, port in
            let raw = try RawConnection(port: port)
            raw.send(handshake("/v3/watch"))
            var seen = raw.receive { String(decoding: $0, as: UTF8.self).contains("\r\n\r\n") }
            raw.send(text(#"{"create_request":{"key":"dw=="}}"#))
            seen += raw.receive { messages(frames(seen + $0)).count >= 1 }
            async let down: Void = server.shutDown()
            seen += raw.receive()
            #expect(messages(frames(seen)).last?.contains(#""grpc_code":14,"http_code":503"#) == true)
            #expect(frames(seen).last?.opcode == 8)
            await down
        }
    }
}
