import DroverClient
import EtcdAPI
import Foundation
import TestSupport
import Testing

/// Puts a key and returns the revision.
@discardableResult
func put(_ connection: EtcdConnection, _ key: String, _ value: String, lease: Int64 = 0) async throws -> Int64 {
    try await put(connection, key, Data(value.utf8), lease: lease)
}

/// Puts a key and returns the revision.
@discardableResult
func put(
    _ connection: EtcdConnection,
    _ key: String,
    _ value: Data = Data("v".utf8),
    lease: Int64 = 0
) async throws -> Int64 {
    var request = PBPutRequest()
    request.key = Data(key.utf8)
    request.value = value
    request.lease = lease
    let reply: PBPutResponse = try await connection.unary("/etcdserverpb.KV/Put", request)
    return reply.header.revision
}

/// Renews a lease by a stream of its own and returns its time; 0 when there is no such lease.
func renew(_ connection: EtcdConnection, _ id: Int64) async throws -> Int64 {
    let call = try await connection.open("/etcdserverpb.Lease/LeaseKeepAlive")
    var request = PBLeaseKeepAliveRequest()
    request.id = id
    try await call.send(request)
    for try await message in call.messages {
        await call.cancel()
        return try PBLeaseKeepAliveResponse(serializedBytes: Array(message.readableBytesView)).ttl
    }
    throw ClientError.unavailable("a renewal was not answered")
}

/// Reads one key.
func get(_ connection: EtcdConnection, _ key: String) async throws -> PBRangeResponse {
    var request = PBRangeRequest()
    request.key = Data(key.utf8)
    return try await connection.unary("/etcdserverpb.KV/Range", request)
}

/// Asks twenty times a second until something is so.
func wait(_ seconds: Double, _ isTrue: () async throws -> Bool) async throws {
    let deadline = Date().addingTimeInterval(seconds)
    while Date() < deadline {
        if try await isTrue() { return }
        try await Task.sleep(nanoseconds: 50_000_000)
    }
    Issue.record("not within \(seconds) s")
}

/// Expects a server to have noticed, though nobody wrote through it, that the database has lost what it has seen: reads are
/// refused, the watch has ended and the log says why.
func expectLost(_ server: TestServer, _ watch: WatchCollector) async throws {
    try await wait(30) { server.process.log.contains("nothing is read or written any more") }
    #expect(server.process.log.contains("lost revisions"))
    let connection = try await server.connect()
    await #expect {
        _ = try await get(connection, "a")
    } throws: {
        ($0 as? ClientError)?.message.contains("lost revisions") == true
    }
    try await wait(30) { await watch.ending != nil }
    #expect(await watch.ending?.contains("lost revisions") == true)
}

extension TestServer {
    /// A figure of `/metrics` that has no labels; none is -1.
    func metric(_ name: String) throws -> Double {
        let page = try run(find("curl")!, ["-sS", "http://127.0.0.1:\(port)/metrics"]).output
        let line = page.split(separator: "\n").first { $0.hasPrefix(name + " ") }
        return Double(line?.split(separator: " ").last ?? "") ?? -1
    }
}

extension Sequence {
    func asyncMap<T>(_ body: (Element) async throws -> T) async rethrows -> [T] {
        var result: [T] = []
        for element in self { result.append(try await body(element)) }
        return result
    }
}
