import Drover
import TestSupport
import Testing

@testable import DroverServer

/// What etcd's gateway takes though it is written oddly, over HTTP/1.1.
@Suite("odd JSON that etcd's gateway takes", .timeLimit(.minutes(2)))
struct GatewayFormTests {
    private func post(_ port: Int, _ path: String, _ body: String, _ headers: [String] = []) throws -> String {
        let head = ["POST \(path) HTTP/1.1", "host: localhost", "content-length: \(body.utf8.count)"] + headers
        let raw = try RawConnection(port: port)
        raw.send(Array((head + ["connection: close", "", body]).joined(separator: "\r\n").utf8))
        return String(decoding: raw.receive(), as: UTF8.self)
    }

    private func status(_ port: Int, _ path: String, _ body: String, _ headers: [String] = []) throws -> Int? {
        let reply = try post(port, path, body, headers)
        return reply.hasPrefix("HTTP/1.1 ") ? Int(reply.dropFirst(9).prefix(3)) : nil
    }

    @Test("what comes behind a document, and line breaks in base64")
    func trailing() async throws {
        try await withServer { _, port in
            for body in [#"{"key":"YQ=="} x"#, #"{"key":"YQ=="} {}"#, #"{"key":"YQ==\n"}"#, #"{"key":"Y\r\nQ=="}"#] {
                #expect(try status(port, "/v3/kv/range", body) == 200, "\(body)")
            }
            #expect(try status(port, "/v3/kv/put", #"{"key":"YWJj\n","value":"MQ=="}"#) == 200)
            let stored = try post(port, "/v3/kv/range", #"{"key":"YWJj"}"#)
            #expect(stored.contains(#""value":"MQ==""#))
        }
    }

    @Test("a time limit of many digits, and one of nothing, which is none")
    func timeLimits() async throws {
        try await withServer { _, port in
            for time in ["10000000000n", "0S", "5S"] {
                let reply = try post(port, "/v3/kv/range", #"{"key":"YQ=="}"#, ["grpc-timeout: \(time)"])
                #expect(reply.hasPrefix("HTTP/1.1 200 "), "\(time): \(reply)")
            }
            #expect(try status(port, "/v3/kv/range", "{}", ["grpc-timeout: soon"]) == 400)
        }
    }

    @Test("a watch outlives what cannot be understood behind it")
    func watch() async throws {
        try await withServer { _, port in
            let raw = try RawConnection(port: port)
            let first = #"{"create_request":{"key":"YQ=="}}"#
            let head = "POST /v3/watch HTTP/1.1\r\nhost: localhost\r\ntransfer-encoding: chunked\r\n\r\n"
            func chunk(_ text: String) -> String { "\(String(text.utf8.count, radix: 16))\r\n\(text)\r\n" }
            raw.send(Array((head + chunk(first) + chunk(" x {{{")).utf8))
            let created = raw.receive(until: { String(decoding: $0, as: UTF8.self).contains("created") })
            #expect(String(decoding: created, as: UTF8.self).contains(#""created":true"#))
            #expect(try status(port, "/v3/kv/put", #"{"key":"YQ==","value":"MQ=="}"#) == 200)
            let event = raw.receive(until: { String(decoding: $0, as: UTF8.self).contains("MQ==") })
            #expect(String(decoding: event, as: UTF8.self).contains(#""value":"MQ==""#))
        }
    }

    @Test("a transaction of more objects than any that is taken is refused before it is made into messages")
    func objects() {
        let body = #"{"compare":["# + Array(repeating: "{}", count: 100_000).joined(separator: ",") + "]}"
        let start = ContinuousClock.now
        #expect {
            try GatewayJSON.request(.txn, .init(string: body), maximumOperations: 4_096)
        } throws: {
            ($0 as? DroverError)?.code == .tooManyOperations
        }
        #expect(ContinuousClock.now - start < .milliseconds(200))
        // Braces in strings are no objects.
        let value = String(repeating: "{", count: 100_000)
        #expect(throws: (any Error).self) {
            try GatewayJSON.request(
                .txn,
                .init(string: #"{"compare":[{"key":"\#(value)"}]}"#),
                maximumOperations: 4_096
            )
        }
    }

    @Test("paths and methods that are none, as JSON")
    func routing() async throws {
        try await withServer { _, port in
            let reply = try post(port, "/v3/nope", "{}")
            #expect(reply.hasPrefix("HTTP/1.1 404 ") && reply.contains(#""code":5,"message":"Not Found""#), "\(reply)")
        }
    }
}
