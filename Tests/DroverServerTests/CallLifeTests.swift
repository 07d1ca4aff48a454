import CSQLite
import DroverClient
import EtcdAPI
import Foundation
import TestSupport
import Testing

@testable import DroverServer

/// Deadlines, health, metrics and the end of a server, as a client of the wire form meets them.
@Suite("calls from their beginning to their end", .serialized, .timeLimit(.minutes(2)))
struct CallLifeTests {
    /// Holds the file's write lock, so that puts wait.
    private final class WriteLock {
        private var handle: OpaquePointer?

        init(_ path: String) throws {
            guard sqlite3_open(path, &handle) == SQLITE_OK,
                sqlite3_exec(handle, "BEGIN IMMEDIATE", nil, nil, nil) == SQLITE_OK
            else { throw ServerFailure("the file cannot be locked") }
        }

        func release() {
            sqlite3_exec(handle, "ROLLBACK", nil, nil, nil)
            sqlite3_close(handle)
            handle = nil
        }
    }

    private func put(_ connection: EtcdConnection, _ key: String, timeout: String? = nil) async throws -> Int64 {
        let request = PBPutRequest.with { $0.key = Data(key.utf8) }
        let metadata = timeout.map { [("grpc-timeout", $0)] } ?? []
        let reply: PBPutResponse = try await connection.unary("/etcdserverpb.KV/Put", request, metadata: metadata)
        return reply.header.revision
    }

    @Test("a call that cannot be answered within its grpc-timeout ends with DeadlineExceeded")
    func deadline() async throws {
        try await withServerAndFile { _, port, path in
            let connection = try await EtcdConnection.connect(host: "127.0.0.1", port: port)
            let lock = try WriteLock(path)
            let begun = ContinuousClock.now
            await #expect(throws: ClientError(code: 4, message: "context deadline exceeded")) {
                _ = try await put(connection, "late", timeout: "300m")
            }
            #expect(begun.duration(to: .now) > .milliseconds(290) && begun.duration(to: .now) < .seconds(2))
            await #expect(throws: ClientError(code: 4, message: "context deadline exceeded")) {
                _ = try await put(connection, "late too", timeout: "0n")
            }
            // Reads are answered meanwhile.
            let read = PBRangeRequest.with { $0.key = Data("late".utf8) }
            let _: PBRangeResponse = try await connection.unary("/etcdserverpb.KV/Range", read)
            lock.release()
            for timeout in ["5S", "5000m", "9999999u", "1M", "1H", "99999999H", "99999999S", nil] {
                _ = try await put(connection, "in time", timeout: timeout)
            }
            await connection.close()
        }
    }

    @Test("when the server shuts down, a call in flight is answered, and the connection told to go away")
    func shutdown() async throws {
        try await withServerAndFile({ $0.shutdownGraceSeconds = 10 }) { server, port, path in
            let lock = try WriteLock(path)
            let raw = try RawConnection(port: port)
            let message = try PBPutRequest.with { $0.key = Data("a".utf8) }.serializedBytes() as [UInt8]
            raw.send(Frames.hello + Frames.call(1, "/etcdserverpb.KV/Put", message))
            let gateway = try RawConnection(port: port)
            let body = #"{"key":"Yg=="}"#
            gateway.send(Array("POST /v3/kv/put HTTP/1.1\r\nhost: x\r\ncontent-length: 14\r\n\r\n\(body)".utf8))
            try await Task.sleep(nanoseconds: 200_000_000)
            async let down: Void = server.shutDown()
            let farewell = Frames.parse(raw.receive { Frames.parse($0).contains { $0.kind == 7 } })
            #expect(farewell.last?.kind == 7 && farewell.last?.payload == [0, 0, 0, 1, 0, 0, 0, 0])
            // A call that comes after is refused, so that its client may send it elsewhere.
            raw.send(Frames.call(3, "/etcdserverpb.KV/Put", message))
            // New connections are not taken.
            try await Task.sleep(nanoseconds: 100_000_000)
            #expect(throws: (any Error).self) { _ = try RawConnection(port: port) }
            lock.release()
            let rest = Frames.parse(raw.receive())
            let text = String(decoding: rest.flatMap(\.payload), as: UTF8.self)
            #expect(rest.contains { $0.kind == 0 && $0.stream == 1 } && text.contains("grpc-status\u{1}0"), "\(text)")
            #expect(rest.contains { $0.kind == 3 && $0.stream == 3 && $0.payload == [0, 0, 0, 7] })
            #expect(String(decoding: gateway.receive(), as: UTF8.self).contains("\"revision\":"))
            await down
        }
    }

    @Test("the health service, and the plain paths that say the same")
    func health() async throws {
        try await withServer { _, port in
            let connection = try await EtcdConnection.connect(host: "127.0.0.1", port: port)
            var request = PBHealthCheckRequest()
            let reply: PBHealthCheckResponse = try await connection.unary("/grpc.health.v1.Health/Check", request)
            #expect(reply.status == .serving)
            request.service = "nobody"
            await #expect(throws: ClientError(code: 5, message: "unknown service")) {
                let _: PBHealthCheckResponse = try await connection.unary("/grpc.health.v1.Health/Check", request)
            }
            let call = try await connection.open("/grpc.health.v1.Health/Watch")
            try await call.send(PBHealthCheckRequest())
            let messages = call.messages.makeAsyncIterator()
            let first = try #require(try await messages.next())
            #expect(try PBHealthCheckResponse(serializedBytes: Array(first.readableBytesView)).status == .serving)
            await call.cancel()
            // Of a service that is not known the stream says so, and stays open.
            let other = try await connection.open("/grpc.health.v1.Health/Watch")
            try await other.send(request)
            let states = other.messages.makeAsyncIterator()
            let state = try #require(try await states.next())
            #expect(
                try PBHealthCheckResponse(serializedBytes: Array(state.readableBytesView)).status == .serviceUnknown
            )
            await other.cancel()
            func get(_ path: String) throws -> String {
                try run(find("curl")!, ["-sS", "-w", " %{http_code}", "http://127.0.0.1:\(port)\(path)"]).output
            }
            #expect(try get("/health") == #"{"health":"true","reason":""} 200"#)
            #expect(try get("/livez") == "ok\n 200")
            #expect(try get("/readyz") == "ok\n 200")
            #expect(try get("/livez/serializable_read") == "ok\n 200")
            #expect(try get("/livez/serializable_read?verbose") == "[+]serializable_read ok\nok\n 200")
            #expect(try get("/readyz?verbose").contains("[+]linearizable_read ok\n"))
            #expect(try !get("/readyz?verbose&exclude=linearizable_read").contains("linearizable_read"))
            #expect(try get("/readyz/nothing").hasSuffix(" 404"))
            let version = try get("/version")
            #expect(version.contains("\"etcdserver\":\"3.6") && version.contains("\"etcdcluster\":\"3.6.0\""))
            await connection.close()
        }
    }

    @Test("metrics have etcd's names, and count what has happened")
    func metrics() async throws {
        try await withServer { _, port in
            let connection = try await EtcdConnection.connect(host: "127.0.0.1", port: port)
            for i in 0..<5 { _ = try await put(connection, "m/\(i)") }
            await #expect(throws: ClientError(code: 3, message: "etcdserver: key is not provided")) {
                _ = try await put(connection, "")
            }
            let page = try run(find("curl")!, ["-sS", "http://127.0.0.1:\(port)/metrics"]).output
            func value(_ name: String) -> Double? {
                page.split(separator: "\n").first { $0.hasPrefix(name + " ") }
                    .flatMap { Double($0.dropFirst(name.count + 1)) }
            }
            let labels = #"grpc_method="Put",grpc_service="etcdserverpb.KV",grpc_type="unary""#
            #expect(value("grpc_server_handled_total{grpc_code=\"OK\",\(labels)}") == 5)
            #expect(value("grpc_server_handled_total{grpc_code=\"InvalidArgument\",\(labels)}") == 1)
            #expect(value("grpc_server_started_total{\(labels)}") == 6)
            #expect(value("etcd_debugging_mvcc_current_revision") == 6)
            #expect(value("etcd_mvcc_put_total") == 5)
            #expect(value("etcd_server_has_leader") == 1)
            #expect((value("etcd_network_client_grpc_received_bytes_total") ?? 0) > 100)
            #expect((value("etcd_network_client_grpc_sent_bytes_total") ?? 0) > 100)
            #expect(value("etcd_debugging_mvcc_watch_stream_total") == 0)
            #expect((value("process_open_fds") ?? 0) > 3)
            #expect((value("etcd_mvcc_db_total_size_in_bytes") ?? 0) > 4_096)
            #expect(value("etcd_disk_backend_commit_duration_seconds_count") == 5)
            // Every family says what it is.
            for line in page.split(separator: "\n") where !line.hasPrefix("#") {
                let name = line.prefix { $0 != " " && $0 != "{" }
                let family = ["_bucket", "_sum", "_count"].reduce(String(name)) { name, ending in
                    name.hasSuffix(ending) && page.contains("# TYPE \(name.dropLast(ending.count)) histogram")
                        ? String(name.dropLast(ending.count)) : name
                }
                #expect(page.contains("# TYPE \(family) "), "\(line)")
            }
            await connection.close()
        }
    }
}
