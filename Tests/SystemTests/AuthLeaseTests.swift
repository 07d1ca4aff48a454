import DroverClient
import EtcdAPI
import Foundation
import TestSupport
import Testing

extension SystemTests.Auth {
    private func header(_ token: String?) -> [(String, String)] { token.map { [("token", $0)] } ?? [] }

    /// The time to live that a renewal is answered with.
    private func renew(_ connection: EtcdConnection, _ lease: Int64, _ token: String?) async throws -> Int64 {
        let call = try await connection.open("/etcdserverpb.Lease/LeaseKeepAlive", metadata: header(token))
        try await call.send(PBLeaseKeepAliveRequest.with { $0.id = lease })
        try await call.finishSending()
        for try await message in call.messages {
            return try PBLeaseKeepAliveResponse(serializedBytes: Array(message.readableBytesView)).ttl
        }
        throw ClientError.unavailable("there was no answer")
    }

    private func leases(_ connection: EtcdConnection, _ token: String?) async throws -> Int {
        let reply: PBLeaseLeasesResponse = try await connection.unary(
            "/etcdserverpb.Lease/LeaseLeases",
            PBLeaseLeasesRequest(),
            metadata: header(token)
        )
        return reply.leases.count
    }

    private func revoke(_ connection: EtcdConnection, _ lease: Int64, _ token: String?) async throws {
        let _: PBLeaseRevokeResponse = try await connection.unary(
            "/etcdserverpb.Lease/LeaseRevoke",
            PBLeaseRevokeRequest.with { $0.id = lease },
            metadata: header(token)
        )
    }

    /// Of etcd 3.6.9 and later, which the etcd beside which tests run is not.
    @Test("leases are renewed, revoked and listed by those alone who may", arguments: Engine.selected)
    func leasesOfOthers(engine: Engine) async throws {
        try await withTemporaryDirectory { directory in
            let (server, connection) = try await secured(directory, engine)
            let (user, root) = (try await token(connection, "u", "pw-u"), try await token(connection, "root", "pw"))
            let nobody = ClientError(code: 3, message: "etcdserver: user name is empty")
            let forged = ClientError(code: 16, message: "etcdserver: invalid auth token")
            let denied = ClientError(code: 7, message: "etcdserver: permission denied")
            for (lease, key) in [(7, "k1"), (8, "other"), (9, nil)] as [(Int64, String?)] {
                let _: PBLeaseGrantResponse = try await connection.unary(
                    "/etcdserverpb.Lease/LeaseGrant",
                    PBLeaseGrantRequest.with {
                        $0.id = lease
                        $0.ttl = 600
                    },
                    metadata: header(root)
                )
                guard let key else { continue }
                let _: PBPutResponse = try await connection.unary(
                    "/etcdserverpb.KV/Put",
                    PBPutRequest.with {
                        $0.key = Data(key.utf8)
                        $0.lease = lease
                    },
                    metadata: header(root)
                )
            }
            for lease in [7, 8, 9, 999] as [Int64] {
                await #expect(throws: nobody) { _ = try await renew(connection, lease, nil) }
                await #expect(throws: forged) { _ = try await renew(connection, lease, "none") }
                await #expect(throws: nobody) { try await revoke(connection, lease, nil) }
            }
            #expect(try await renew(connection, 7, user) == 600)
            #expect(try await renew(connection, 9, user) == 600)
            #expect(try await renew(connection, 999, user) == 0)
            await #expect(throws: denied) { _ = try await renew(connection, 8, user) }
            await #expect(throws: denied) { try await revoke(connection, 8, user) }
            for lease in [7, 8, 9] as [Int64] { #expect(try await renew(connection, lease, root) == 600) }
            // One stream, renewals one after the other, until one is not permitted.
            let call = try await connection.open("/etcdserverpb.Lease/LeaseKeepAlive", metadata: header(user))
            for lease in [7, 9, 999, 8] as [Int64] {
                try await call.send(PBLeaseKeepAliveRequest.with { $0.id = lease })
            }
            var answered: [Int64] = []
            await #expect(throws: denied) {
                for try await message in call.messages {
                    answered.append(try PBLeaseKeepAliveResponse(serializedBytes: Array(message.readableBytesView)).id)
                }
            }
            #expect(answered == [7, 9, 999])
            // One that nobody may make ends the stream, whatever comes behind it or has left meanwhile.
            for _ in 0..<20 {
                let call = try await connection.open("/etcdserverpb.Lease/LeaseKeepAlive", metadata: header("none"))
                for _ in 0..<5 { try await call.send(PBLeaseKeepAliveRequest.with { $0.id = 7 }) }
                await #expect(throws: forged) { for try await _ in call.messages {} }
                let left = try await connection.open("/etcdserverpb.Lease/LeaseKeepAlive", metadata: header(user))
                for _ in 0..<5 { try await left.send(PBLeaseKeepAliveRequest.with { $0.id = 7 }) }
                await left.cancel()
            }
            #expect(try await leases(connection, root) == 3)
            await #expect(throws: denied) { _ = try await leases(connection, user) }
            await #expect(throws: nobody) { _ = try await leases(connection, nil) }
            try await revoke(connection, 8, root)
            #expect(try await leases(connection, user) == 2)
            try await revoke(connection, 9, user)
            await connection.close()
            server.process.stop()
        }
    }

    @Test("what one instance has changed of users counts at another with the next call", arguments: Engine.shared)
    func firstCallAtAnother(engine: Engine) async throws {
        try await withTemporaryDirectory { directory in
            let two = try await TestServer.drover(directory: directory, engine: engine, log: "two.log")
            let second = try await two.connect()
            // Asked for users from here on, by the first, whose tokens the second has never heard of.
            let (one, first) = try await secured(directory, engine)
            let user = try await token(first, "u", "pw-u")
            let _: PBPutResponse = try await second.unary(
                "/etcdserverpb.KV/Put",
                PBPutRequest.with { $0.key = Data("k".utf8) },
                metadata: header(user)
            )
            await #expect(throws: ClientError(code: 3, message: "etcdserver: user name is empty")) {
                let _: PBDowngradeResponse = try await second.unary(
                    "/etcdserverpb.Maintenance/Downgrade",
                    PBDowngradeRequest.with { $0.action = .cancel }
                )
            }
            one.process.stop()
            two.process.stop()
        }
    }
}
