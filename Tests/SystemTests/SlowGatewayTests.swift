import Foundation
import TestSupport
import Testing

extension SystemTests.SlowReaders {
    @Test("lists over HTTP/1.1 that nobody reads give way to who reads")
    func gateway() async throws {
        try await withTemporaryDirectory { directory in
            let server = try await TestServer.drover(directory: directory)
            let connection = try await server.connect()
            try await fill(connection, 3_750)
            let body = #"{"key":"AA==","range_end":"AA=="}"#
            let request =
                "POST /v3/kv/range HTTP/1.1\r\nhost: localhost\r\ncontent-length: \(body.utf8.count)\r\n\r\n\(body)"
            var stalled: [RawConnection] = []
            for _ in 0..<80 {
                let raw = try RawConnection(port: server.port)
                raw.send(Array(request.utf8))
                stalled.append(raw)
            }
            try await Task.sleep(nanoseconds: 2_000_000_000)
            let taken = resident(server.process.identifier)
            print("80 lists of 15 MB that nobody reads: \(taken >> 20) MiB")
            // A piece each, in JSON, and what the socket's buffer is a copy of.
            #expect(taken < 320 << 20)
            let url = "http://127.0.0.1:\(server.port)/v3/kv/range"
            let begun = Date()
            let reply = try run(try #require(find("curl")), ["-sS", "--max-time", "20", url, "-d", body])
            #expect(reply.output.utf8.count > 3_750 * 4_000 && Date().timeIntervalSince(begun) < 15)
            stalled = []
            await connection.close()
            server.process.stop()
        }
    }
}
