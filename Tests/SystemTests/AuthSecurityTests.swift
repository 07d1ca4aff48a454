import DroverClient
import EtcdAPI
import Foundation
import NIOCore
import SwiftProtobuf
import TestSupport
import Testing

extension SystemTests.Auth {
    /// A server on which auth is enabled: `root` may do everything, `u` may read and write what begins with `k`.
    func secured(
        _ directory: String,
        _ engine: Engine = .sqlite,
        arguments: [String] = [],
        name: String? = nil
    ) async throws -> (server: TestServer, connection: EtcdConnection) {
        let server = try await TestServer.drover(
            directory: directory,
            engine: engine,
            endpoint: name.map { "sqlite://\(directory)/\($0)" },
            log: "\(name ?? "drover").log",
            arguments: arguments
        )
        let connection = try await server.connect()
        let play = AuthScenario(connection)
        await play.addUser("root", "pw")
        await play.grantRole("root", "root")
        await play.addUser("u", "pw-u")
        await play.addRole("k")
        await play.grant("k", .readwrite, "k", "l")
        await play.grantRole("u", "k")
        await play.enable()
        return (server, connection)
    }

    func token(_ connection: EtcdConnection, _ name: String, _ password: String) async throws -> String {
        let request = PBAuthenticateRequest.with {
            $0.name = name
            $0.password = password
        }
        let reply: PBAuthenticateResponse = try await connection.unary("/etcdserverpb.Auth/Authenticate", request)
        return reply.token
    }

    func range(_ connection: EtcdConnection, _ key: String, _ token: String) async throws -> PBRangeResponse {
        try await connection.unary(
            "/etcdserverpb.KV/Range",
            PBRangeRequest.with { $0.key = Data(key.utf8) },
            metadata: [("authorization", "Bearer \(token)")]
        )
    }

    @Test("a token is good until it has not been used for its time; a changed one never is")
    func tokens() async throws {
        try await withTemporaryDirectory { directory in
            let (server, connection) = try await secured(directory, arguments: ["--auth-token-ttl", "3"])
            let good = try await token(connection, "u", "pw-u")
            let idle = try await token(connection, "u", "pw-u")
            // Each byte of it counts: whose it is, when it was made, and the signature.
            for place in stride(from: 0, to: good.utf8.count, by: 7) {
                var bytes = Array(good.utf8)
                bytes[place] = bytes[place] == UInt8(ascii: "0") ? UInt8(ascii: "1") : UInt8(ascii: "0")
                await #expect(throws: ClientError(code: 16, message: "etcdserver: invalid auth token")) {
                    _ = try await range(connection, "k", String(decoding: bytes, as: UTF8.self))
                }
            }
            for wrong in [String(good.dropLast(2)), good + "00", "zz", String(repeating: "0", count: 200)] {
                await #expect(throws: ClientError(code: 16, message: "etcdserver: invalid auth token")) {
                    _ = try await range(connection, "k", wrong)
                }
            }
            // Used again and again it lives on; unused it does not.
            for _ in 0..<10 {
                try await Task.sleep(nanoseconds: 500_000_000)
                _ = try await range(connection, "k", good)
            }
            await #expect(throws: ClientError(code: 16, message: "etcdserver: invalid auth token")) {
                _ = try await range(connection, "k", idle)
            }
            server.process.stop()
        }
    }

    @Test("a restart forgets no token, and another store's is none")
    func foreignTokens() async throws {
        try await withTemporaryDirectory { directory in
            let (server, connection) = try await secured(directory)
            let own = try await token(connection, "u", "pw-u")
            server.process.signal(SIGKILL)
            _ = server.process.wait()
            let again = try await TestServer.drover(directory: directory)
            _ = try await range(try await again.connect(), "k", own)
            try await withTemporaryDirectory { elsewhere in
                let (other, _) = try await secured(elsewhere)
                await #expect(throws: ClientError(code: 16, message: "etcdserver: invalid auth token")) {
                    _ = try await range(try await other.connect(), "k", own)
                }
                other.process.stop()
            }
            again.process.stop()
        }
    }

    @Test("a watch is refused, and ends when its user may no longer read", arguments: Engine.selected)
    func watches(engine: Engine) async throws {
        try await withTemporaryDirectory { directory in
            let (server, connection) = try await secured(directory, engine)
            let (user, root) = (try await token(connection, "u", "pw-u"), try await token(connection, "root", "pw"))
            func watch(_ key: String, _ end: String, _ token: String?) async throws -> EtcdCall {
                let metadata = token.map { [("token", $0)] } ?? []
                let call = try await connection.open("/etcdserverpb.Watch/Watch", metadata: metadata)
                try await call.send(
                    PBWatchRequest.with {
                        $0.createRequest.key = Data(key.utf8)
                        $0.createRequest.rangeEnd = Data(end.utf8)
                    }
                )
                return call
            }
            func first(_ call: EtcdCall) async throws -> PBWatchResponse {
                for try await message in call.messages {
                    return try PBWatchResponse(serializedBytes: Array(message.readableBytesView))
                }
                throw ClientError.unavailable("the watch said nothing")
            }
            let refusals: [(String, String, String?, String)] = [
                ("a", "", user, "PermissionDenied desc = etcdserver: permission denied"),
                ("k", "\0", user, "PermissionDenied desc = etcdserver: permission denied"),
                ("k", "m", user, "PermissionDenied desc = etcdserver: permission denied"),
                ("k", "", nil, "InvalidArgument desc = etcdserver: user name is empty"),
                ("k", "", "nonsense", "Unauthenticated desc = etcdserver: invalid auth token"),
            ]
            for (key, end, token, reason) in refusals {
                let call = try await watch(key, end, token)
                let reply = try await first(call)
                #expect(reply.created && reply.canceled && reply.watchID == -1)
                #expect(reply.cancelReason == "rpc error: code = \(reason)")
                await call.cancel()
            }
            let open = try await watch("k", "l", user)
            let kept = try await watch("a", "z", root)
            var replies = open.messages.makeAsyncIterator()
            var others = kept.messages.makeAsyncIterator()
            func next(_ iterator: inout EtcdCall.Messages.AsyncIterator) async throws
                -> PBWatchResponse
            {
                let message = try #require(try await iterator.next())
                return try PBWatchResponse(serializedBytes: Array(message.readableBytesView))
            }
            #expect(try await next(&replies).created)
            #expect(try await next(&others).created)
            func put(_ key: String) async throws {
                let _: PBPutResponse = try await connection.unary(
                    "/etcdserverpb.KV/Put",
                    PBPutRequest.with { $0.key = Data(key.utf8) },
                    metadata: [("token", root)]
                )
            }
            try await put("k1")
            #expect(try await next(&replies).events.map(\.kv.key) == [Data("k1".utf8)])
            let _: PBAuthRoleRevokePermissionResponse = try await connection.unary(
                "/etcdserverpb.Auth/RoleRevokePermission",
                PBAuthRoleRevokePermissionRequest.with {
                    $0.role = "k"
                    $0.key = Data("k".utf8)
                    $0.rangeEnd = Data("l".utf8)
                },
                metadata: [("token", root)]
            )
            try await put("k2")
            let end = try await next(&replies)
            #expect(end.canceled && end.events.isEmpty)
            #expect(end.cancelReason == "rpc error: code = PermissionDenied desc = etcdserver: permission denied")
            // The others' watches go on.
            #expect(try await next(&others).events.map(\.kv.key) == [Data("k1".utf8)])
            #expect(try await next(&others).events.map(\.kv.key) == [Data("k2".utf8)])
            server.process.stop()
        }
    }

    @Test("a user's change is felt through every instance at once", arguments: Engine.shared)
    func instances(engine: Engine) async throws {
        try await withTemporaryDirectory { directory in
            let (one, first) = try await secured(directory, engine)
            let two = try await TestServer.drover(directory: directory, engine: engine, log: "two.log")
            let second = try await two.connect()
            let (user, root) = (try await token(first, "u", "pw-u"), try await token(second, "root", "pw"))
            for round in 0..<20 {
                // A token made by one instance is known to the other.
                _ = try await range(second, "k", user)
                let change = PBAuthUserRevokeRoleRequest.with {
                    $0.name = "u"
                    $0.role = "k"
                }
                let _: PBAuthUserRevokeRoleResponse = try await first.unary(
                    "/etcdserverpb.Auth/UserRevokeRole",
                    change,
                    metadata: [("token", root)]
                )
                await #expect(throws: ClientError(code: 7, message: "etcdserver: permission denied"), "\(round)") {
                    _ = try await range(second, "k", user)
                }
                let _: PBAuthUserGrantRoleResponse = try await first.unary(
                    "/etcdserverpb.Auth/UserGrantRole",
                    PBAuthUserGrantRoleRequest.with {
                        $0.user = "u"
                        $0.role = "k"
                    },
                    metadata: [("token", root)]
                )
            }
            one.process.stop()
            two.process.stop()
        }
    }

    @Test("guessing passwords is slow whoever is guessed at, and keeps nobody else waiting")
    func guessing() async throws {
        try await withTemporaryDirectory { directory in
            let (server, connection) = try await secured(directory)
            let user = try await token(connection, "u", "pw-u")
            func seconds(_ name: String, _ attempt: Int) async throws -> Double {
                let start = Date()
                await #expect(throws: ClientError.self) { _ = try await token(connection, name, "no\(attempt)") }
                return Date().timeIntervalSince(start)
            }
            // A user that does not exist takes as long to be refused as one that does.
            var (known, unknown) = (Double.infinity, Double.infinity)
            for attempt in 0..<10 {
                known = min(known, try await seconds("u", attempt))
                unknown = min(unknown, try await seconds("nobody", attempt))
            }
            #expect(known > 0.005 && unknown > 0.005)
            #expect(unknown / known > 0.4 && unknown / known < 2.5, "\(known) and \(unknown) s")
            // A crowd of guesses is told to come back, and the others' calls go on.
            let refused = try await withThrowingTaskGroup(of: Bool.self) { group in
                for attempt in 0..<300 {
                    group.addTask {
                        do {
                            _ = try await token(connection, "u", "no\(attempt)")
                        } catch let error as ClientError where error.code == 8 {
                            return true
                        } catch {}
                        return false
                    }
                }
                var slowest = 0.0
                for _ in 0..<20 {
                    let start = Date()
                    _ = try await range(connection, "k", user)
                    slowest = max(slowest, Date().timeIntervalSince(start))
                }
                #expect(slowest < 2)
                return try await group.reduce(into: 0) { $0 += $1 ? 1 : 0 }
            }
            #expect(refused > 0)
            server.process.stop()
        }
    }

    @Test("locks, leases, lists and the gateway ask for permission too")
    func everywhere() async throws {
        try await withTemporaryDirectory { directory in
            let (server, connection) = try await secured(directory)
            let (user, root) = (try await token(connection, "u", "pw-u"), try await token(connection, "root", "pw"))
            let denied = ClientError(code: 7, message: "etcdserver: permission denied")
            // etcd's locks and elections report what their own calls came to without its code.
            let deniedWithin = ClientError(code: 2, message: "etcdserver: permission denied")
            let locked: PBLockResponse = try await connection.unary(
                "/v3lockpb.Lock/Lock",
                PBLockRequest.with { $0.name = Data("k-lock".utf8) },
                metadata: [("token", user)]
            )
            #expect(!locked.key.isEmpty)
            await #expect(throws: deniedWithin) {
                let _: PBLockResponse = try await connection.unary(
                    "/v3lockpb.Lock/Lock",
                    PBLockRequest.with { $0.name = Data("other".utf8) },
                    metadata: [("token", user)]
                )
            }
            await #expect(throws: deniedWithin) {
                let _: PBLeaderResponse = try await connection.unary(
                    "/v3electionpb.Election/Leader",
                    PBLeaderRequest.with { $0.name = Data("other".utf8) },
                    metadata: [("token", user)]
                )
            }
            // A list, sorted and not, and a count.
            for change in [{ _ in }, { $0.sortTarget = .mod }, { $0.countOnly = true }, { $0.limit = 1 }]
                as [(inout PBRangeRequest) -> Void]
            {
                var request = PBRangeRequest.with {
                    $0.key = Data("j".utf8)
                    $0.rangeEnd = Data("z".utf8)
                }
                change(&request)
                let all = request
                await #expect(throws: denied) {
                    let _: PBRangeResponse = try await connection.unary(
                        "/etcdserverpb.KV/Range",
                        all,
                        metadata: [("token", user)]
                    )
                }
                let _: PBRangeResponse = try await connection.unary(
                    "/etcdserverpb.KV/Range",
                    all,
                    metadata: [("token", root)]
                )
            }
            // What a lease holds is the user's business only where each of its keys is.
            let lease: PBLeaseGrantResponse = try await connection.unary(
                "/etcdserverpb.Lease/LeaseGrant",
                PBLeaseGrantRequest.with { $0.ttl = 600 },
                metadata: [("token", root)]
            )
            let _: PBPutResponse = try await connection.unary(
                "/etcdserverpb.KV/Put",
                PBPutRequest.with {
                    $0.key = Data("a".utf8)
                    $0.lease = lease.id
                },
                metadata: [("token", root)]
            )
            await #expect(throws: denied) {
                let _: PBLeaseTimeToLiveResponse = try await connection.unary(
                    "/etcdserverpb.Lease/LeaseTimeToLive",
                    PBLeaseTimeToLiveRequest.with {
                        $0.id = lease.id
                        $0.keys = true
                    },
                    metadata: [("token", user)]
                )
            }
            await #expect(throws: denied) {
                let _: PBLeaseRevokeResponse = try await connection.unary(
                    "/etcdserverpb.Lease/LeaseRevoke",
                    PBLeaseRevokeRequest.with { $0.id = lease.id },
                    metadata: [("token", user)]
                )
            }
            // For administrators alone.
            for path in ["Hash", "HashKV", "Snapshot", "Defragment", "MoveLeader"] {
                await #expect(throws: denied, "\(path)") {
                    let call = try await connection.open(
                        "/etcdserverpb.Maintenance/\(path)",
                        metadata: [("token", user)]
                    )
                    try await call.send(PBHashRequest())
                    try await call.finishSending()
                    for try await _ in call.messages {}
                }
            }
            let curl = try #require(find("curl"))
            func post(_ token: String?) throws -> String {
                let header = token.map { ["-H", "Authorization: \($0)"] } ?? []
                let url = "http://127.0.0.1:\(server.port)/v3/kv/range"
                return try run(curl, ["-sS", url, "-d", #"{"key":"aw=="}"#, "-w", " %{http_code}"] + header).output
            }
            #expect(try post(user).hasSuffix(" 200"))
            #expect(try post(nil).hasSuffix(" 400"))
            #expect(try post("nonsense").hasSuffix(" 401"))
            let head = try run(
                curl,
                [
                    "-sS", "-D", "-", "http://127.0.0.1:\(server.port)/v3/kv/range", "-d", #"{"key":"aw=="}"#, "-H",
                    "Authorization: nonsense",
                ]
            ).output.lowercased()
            #expect(head.contains("www-authenticate: etcdserver: invalid auth token\r\n"))
            server.process.stop()
        }
    }
}
