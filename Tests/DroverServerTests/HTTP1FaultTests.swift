import DroverClient
import EtcdAPI
import Foundation
import TestSupport
import Testing

@testable import DroverServer

@Suite("HTTP/1.1, spoken well and badly", .serialized, .timeLimit(.minutes(2)))
struct HTTP1FaultTests {
    private func request(_ method: String, _ path: String, _ body: String = "", headers: [String] = []) -> [UInt8] {
        var lines = ["\(method) \(path) HTTP/1.1", "host: x", "content-length: \(body.utf8.count)"]
        lines += headers
        return Array((lines.joined(separator: "\r\n") + "\r\n\r\n" + body).utf8)
    }

    private func text(_ bytes: [UInt8]) -> String { String(decoding: bytes, as: UTF8.self) }

    /// What a connection of its own gets for these bytes; it is closed by the server, or asked to.
    private func answer(_ port: Int, _ bytes: [UInt8]) throws -> String {
        let raw = try RawConnection(port: port)
        raw.send(bytes)
        return text(raw.receive())
    }

    @Test(
        "wrong methods and paths",
        arguments: [
            ("GET", "/v3/kv/range", 501), ("PUT", "/v3/kv/put", 501), ("DELETE", "/v3/watch", 501),
            ("POST", "/v3/kv/nothing", 404), ("POST", "/", 404), ("GET", "/v2/keys/a", 404), ("POST", "/health", 405),
            ("POST", "/etcdserverpb.KV/Range", 404), ("GET", "/health", 200), ("POST", "/v3beta/kv/range", 200),
        ]
    )
    func routes(method: String, path: String, status: Int) async throws {
        try await withServer { _, port in
            let reply = try answer(port, request(method, path, #"{"key":"YQ=="}"#, headers: ["connection: close"]))
            #expect(reply.hasPrefix("HTTP/1.1 \(status) "), "\(reply)")
            try await expectAlive(port)
        }
    }

    @Test(
        "bodies that are no request, each told what is wrong",
        arguments: [
            ("", 200), ("{}", 400), ("{", 400), ("[]", 400), ("null", 400), ("{\"key\":1}", 400),
            ("{\"key\":\"?\"}", 400),
            ("{\"key\":\"YQ==\",\"limit\":\"99999999999999999999\"}", 400), ("{\"key\":\"YQ==\",\"limit\":1e3}", 200),
            ("{\"key\":\"YQ==\",\"limit\":-9223372036854775808}", 200), ("{\"key\":\"YQ==\"} {}", 200),
            ("{\"key\":\"YQ==\",\"revision\":\"9223372036854775807\"}", 400),
            ("{\"key\":\"YQ==\",\"range_end\":\"Yg==\",\"limit\":\"9223372036854775807\"}", 200),
            ("{\"key\":\"YQ==\",\"nothing\":1}", 200),
            (String(repeating: "[", count: 100_000), 400), ("{\"key\":\"\u{0}\"}", 400),
        ]
    )
    func bodies(body: String, status: Int) async throws {
        try await withServer { _, port in
            let reply = try answer(port, request("POST", "/v3/kv/range", body, headers: ["connection: close"]))
            // Nothing at all is an empty request, whose key is missing.
            let expected = body.isEmpty ? 400 : status
            #expect(reply.hasPrefix("HTTP/1.1 \(expected) "), "\(body.prefix(80)): \(reply)")
            if expected == 400 {
                #expect(reply.contains("\"error\":") && reply.contains("\"code\":"), "\(reply)")
            }
            try await expectAlive(port)
        }
    }

    @Test("any content type is JSON here, as in etcd's gateway")
    func contentTypes() async throws {
        try await withServer { _, port in
            for type in ["text/plain", "application/x-www-form-urlencoded", "application/grpc"] {
                let headers = ["content-type: \(type)", "connection: close"]
                let reply = try answer(port, request("POST", "/v3/kv/range", #"{"key":"YQ=="}"#, headers: headers))
                #expect(reply.hasPrefix("HTTP/1.1 200 ") && reply.contains("\"revision\":\"1\""), "\(reply)")
            }
        }
    }

    @Test("base64 as other languages write it, with escaped signs")
    func escapes() async throws {
        try await withServer { _, port in
            let put = request("POST", "/v3/kv/put", #"{"key":"Zm8\u003d","value":"+\u002F\u002b\/QUJD"}"#)
            let done = try answer(port, put + request("GET", "/version", headers: ["connection: close"]))
            #expect(done.contains("200 OK"))
            let get = request("POST", "/v3/kv/range", #"{"key":"Zm8="}"#, headers: ["connection: close"])
            #expect(try answer(port, get).contains(#""value":"+/+/QUJD""#))
            // What only looks like an escape is none.
            let odd = request("POST", "/v3/kv/put", #"{"key":"\\u003d"}"#, headers: ["connection: close"])
            #expect(try answer(port, odd).hasPrefix("HTTP/1.1 400 "))
        }
    }

    @Test("an offer to change the protocol is passed over, and the connection ends with the answer")
    func upgrades() async throws {
        try await withServer { _, port in
            let offer = ["connection: Upgrade, HTTP2-Settings", "upgrade: h2c", "http2-settings: AAMAAABkAAQAAP__"]
            let reply = try answer(port, request("POST", "/v3/kv/range", #"{"key":"YQ=="}"#, headers: offer))
            #expect(reply.hasPrefix("HTTP/1.1 200 ") && reply.lowercased().contains("connection: close"), "\(reply)")
            #expect(try answer(port, request("CONNECT", "x:1")).lowercased().contains("connection: close"))
            try await expectAlive(port)
        }
    }

    @Test("the absolute form of a target, as proxies are sent it")
    func absoluteForm() async throws {
        try await withServer { _, port in
            for target in ["http://etcd.local/version", "HTTP://etcd.local:2379/version?x=1"] {
                let reply = try answer(port, request("GET", target, headers: ["connection: close"]))
                #expect(reply.hasPrefix("HTTP/1.1 200 ") && reply.contains("etcdserver"), "\(reply)")
            }
            let body = #"{"key":"YQ=="}"#
            let call = request("POST", "http://etcd.local/v3/kv/range", body, headers: ["connection: close"])
            #expect(try answer(port, call).hasPrefix("HTTP/1.1 200 "))
            #expect(
                try answer(port, request("GET", "http://etcd.local", headers: ["connection: close"])).contains(" 404 ")
            )
        }
    }

    @Test("transactions as deep as they may be are answered")
    func deep() async throws {
        try await withServer { _, port in
            var body = #"{"success":[{"request_put":{"key":"YQ=="}}]}"#
            for _ in 0..<100 { body = #"{"success":[{"request_txn":\#(body)}]}"# }
            let reply = try answer(port, request("POST", "/v3/kv/txn", body, headers: ["connection: close"]))
            #expect(reply.hasPrefix("HTTP/1.1 200 "), "\(reply.prefix(300))")
            #expect(reply.components(separatedBy: "response_txn").count == 101)
        }
    }

    @Test("a call's own time limit holds in JSON too")
    func timeouts() async throws {
        try await withServer { _, port in
            let lock = request("POST", "/v3/lock/lock", #"{"name":"aGVsZA=="}"#, headers: ["connection: close"])
            #expect(try answer(port, lock).hasPrefix("HTTP/1.1 200 "))
            let begun = ContinuousClock.now
            let headers = ["connection: close", "grpc-timeout: 300m"]
            let reply = try answer(port, request("POST", "/v3/lock/lock", #"{"name":"aGVsZA=="}"#, headers: headers))
            #expect(reply.hasPrefix("HTTP/1.1 504 ") && reply.contains("context deadline exceeded"), "\(reply)")
            #expect(begun.duration(to: .now) < .seconds(5))
        }
    }

    @Test("what a streaming call is refused with looks like its other errors")
    func refusedStream() async throws {
        try await withServer { _, port in
            let reply = try answer(port, request("POST", "/v3/watch", "[]", headers: ["connection: close"]))
            // As in etcd 3.5, and as in 3.6: clients look at either, and some fail without.
            for part in [
                #"{"error":{"grpc_code":3,"http_code":400,"message":"#, #""http_status":"Bad Request""#,
                #""code":3,"details":[]}}"#,
            ] {
                #expect(reply.contains(part), "\(reply)")
            }
        }
    }

    @Test("bytes that are no HTTP, header bombs and bodies without an end are refused")
    func broken() async throws {
        try await withServer { _, port in
            for bytes in [
                "GARBAGE\r\n\r\n", "GET / HTTP/9.9\r\n\r\n", "GET /health HTTP/1.1\r\nbad header\r\n\r\n",
                "POST /v3/kv/range HTTP/1.1\r\ncontent-length: -1\r\n\r\n",
                "POST /v3/kv/range HTTP/1.1\r\ntransfer-encoding: chunked\r\n\r\nxyz\r\n",
                "POST /v3/kv/range HTTP/1.1\r\ncontent-length: 1\r\ncontent-length: 2\r\n\r\n{}",
            ] {
                let reply = try answer(port, Array(bytes.utf8))
                #expect(reply.hasPrefix("HTTP/1.1 400 ") || reply.isEmpty, "\(bytes): \(reply)")
            }
            let raw = try RawConnection(port: port)
            raw.send(Array("GET /health HTTP/1.1\r\n".utf8))
            var sent = 0
            let line = Array("x-filler: \(String(repeating: "y", count: 1_000))\r\n".utf8)
            while sent < 64 << 20, raw.send(line) { sent += line.count }
            #expect(sent < 16 << 20, "a head of \(sent) bytes was taken")
            let before = residentBytes()
            // A document of more than a request may have, in pieces.
            let long = try RawConnection(port: port)
            long.send(Array("POST /v3/kv/put HTTP/1.1\r\ncontent-length: 999999999\r\n\r\n{\"value\":\"".utf8))
            let piece = [UInt8](repeating: UInt8(ascii: "A"), count: 64 << 10)
            for _ in 0..<160 where !long.send(piece) { break }
            let reply = text(long.receive { $0.count > 100 })
            #expect(reply.hasPrefix("HTTP/1.1 429 ") && reply.contains("longer than"), "\(reply)")
            #expect(residentBytes() - before < 32 << 20)
            try await expectAlive(port)
        }
    }

    @Test("thousands of requests at once behind one that takes its time are answered one by one")
    func pipeline() async throws {
        try await withServer { _, port in
            let raw = try RawConnection(port: port)
            let short = "GET / HTTP/1.1\r\n\r\n"
            let all = "GET /health HTTP/1.1\r\nhost: x\r\n\r\n" + String(repeating: short, count: 14_000)
            raw.send(Array(all.utf8))
            raw.send(request("GET", "/version", headers: ["connection: close"]))
            let replies = text(raw.receive())
            #expect(replies.components(separatedBy: "HTTP/1.1 404").count == 14_001)
            #expect(replies.contains("etcdserver"))
        }
    }

    @Test("long replies to a client that asks for many and reads none are not kept for it")
    func unreadReplies() async throws {
        try await withServer { _, port in
            let value = String(repeating: "QUFB", count: 256 << 10)
            let put = request(
                "POST",
                "/v3/kv/put",
                #"{"key":"YQ==","value":"\#(value)"}"#,
                headers: ["connection: close"]
            )
            #expect(try answer(port, put).hasPrefix("HTTP/1.1 200"))
            let before = residentBytes()
            let raw = try RawConnection(port: port)
            let get = request("POST", "/v3/kv/range", #"{"key":"YQ=="}"#)
            raw.isNonblocking = true
            raw.send((0..<1_500).flatMap { _ in get })
            try await Task.sleep(nanoseconds: 2_000_000_000)
            #expect(residentBytes() - before < 64 << 20)
            try await expectAlive(port)
        }
    }

    @Test("requests that come byte by byte, one after another, and all at once")
    func pieces() async throws {
        try await withServer { _, port in
            let one = request("POST", "/v3/kv/put", #"{"key":"YQ==","value":"Yg=="}"#)
            let raw = try RawConnection(port: port)
            for byte in one { raw.send([byte]) }
            #expect(text(raw.receive { self.text($0).contains("\"revision\":\"2\"") }).contains("\"revision\":\"2\""))
            raw.send(one + request("GET", "/version") + one)
            let replies = text(raw.receive { self.text($0).contains("\"revision\":\"4\"") })
            let parts = ["\"revision\":\"3\"", "etcdserver", "\"revision\":\"4\""].map {
                replies.range(of: $0)?.lowerBound
            }
            #expect(parts.allSatisfy { $0 != nil } && parts[0]! < parts[1]! && parts[1]! < parts[2]!, "\(replies)")
            let expecting = try RawConnection(port: port)
            var head = request("POST", "/v3/kv/range", #"{"key":"YQ=="}"#, headers: ["expect: 100-continue"])
            let body = head.suffix(14)
            head.removeLast(14)
            expecting.send(head)
            #expect(text(expecting.receive { !$0.isEmpty }).hasPrefix("HTTP/1.1 100 "))
            expecting.send(Array(body))
            #expect(text(expecting.receive { self.text($0).contains("kvs") }).contains("\"value\":\"Yg==\""))
        }
    }

    @Test("heads and bodies that stop coming, and connections that are not used, are ended")
    func slowWriters() async throws {
        try await withServer({
            $0.limits.headSeconds = 1
            $0.limits.bodySeconds = 1
            $0.limits.idleSeconds = 1
        }) { _, port in
            let head = try RawConnection(port: port)
            head.send(Array("POST /v3/kv/range HT".utf8))
            let body = try RawConnection(port: port)
            body.send(Array("POST /v3/kv/range HTTP/1.1\r\ncontent-length: 50\r\n\r\n{\"key\":".utf8))
            let plain = try RawConnection(port: port)
            plain.send(Array("GET /health HTTP/1.1\r\ncontent-length: 50\r\n\r\nab".utf8))
            let idle = try RawConnection(port: port)
            idle.send(request("GET", "/version"))
            // A watch says nothing for longer, and stays.
            let watch = try RawConnection(port: port)
            let create = #"{"create_request":{"key":"YQ=="}}"#
            watch.send(request("POST", "/v3/watch", create))
            #expect(text(watch.receive { self.text($0).contains("created") }).contains("\"created\":true"))
            #expect(text(head.receive()).isEmpty)
            let reply = text(body.receive())
            #expect(reply.hasPrefix("HTTP/1.1 504 ") && reply.contains("did not arrive in time"), "\(reply)")
            #expect(text(plain.receive()).isEmpty)
            #expect(text(idle.receive()).contains("etcdserver"))
            try await Task.sleep(nanoseconds: 1_500_000_000)
            #expect(!watch.isClosedByPeer)
            try await expectAlive(port)
        }
    }

    @Test(
        "streams of lines: watches and keep-alives over both versions of HTTP",
        arguments: ["--http1.1", "--http2-prior-knowledge"]
    )
    func lines(version: String) async throws {
        try await withServer { _, port in
            func curl(_ path: String, _ body: String, seconds: String = "10") throws -> [String] {
                try run(
                    find("curl")!,
                    ["-sSN", version, "-m", seconds, "http://127.0.0.1:\(port)\(path)", "-d", body]
                ).output.split(separator: "\n").map(String.init)
            }
            let granted = try curl("/v3/lease/grant", #"{"TTL":"60","ID":"7"}"#)
            #expect(granted.first?.contains("\"TTL\":\"60\"") == true, "\(granted)")
            // Two renewals in one body, the second of a lease that does not exist.
            let renewals = try curl("/v3/lease/keepalive", #"{"ID":"7"}{"ID":"8"}"#)
            #expect(renewals.count == 2 && renewals.allSatisfy { $0.hasPrefix("{\"result\":{") }, "\(renewals)")
            #expect(renewals[0].contains("\"ID\":\"7\",\"TTL\":\"60\"") && !renewals[1].contains("TTL"))
            _ = try curl("/v3/kv/put", #"{"key":"YQ==","value":"Yg=="}"#)
            let events = try curl("/v3/watch", #"{"create_request":{"key":"YQ==","start_revision":"1"}}"#, seconds: "3")
            #expect(events.count == 2 && events.allSatisfy { $0.hasPrefix("{\"result\":{") }, "\(events)")
            #expect(events[0].contains("\"created\":true") && events[1].contains("\"value\":\"Yg==\""))
            let broken = try curl("/v3/watch", #"{"create_request":{"key":"YQ=="}}garbage"#, seconds: "3")
            // What cannot be understood behind the first document ends what is read, not the watch.
            #expect(broken.count == 1 && broken[0].contains("\"created\":true"), "\(broken)")
            let nothing = try curl("/v3/watch", "garbage")
            #expect(nothing.last?.hasPrefix("{\"error\":") == true, "\(nothing)")
        }
    }
}
