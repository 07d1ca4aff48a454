import DroverClient
import EtcdAPI
import Foundation
import SwiftProtobuf
import TestSupport
import Testing

extension SystemTests {
    /// Calls about members and maintenance: what a cluster of one member answers.
    @Suite("members and maintenance")
    struct Administration {
        private func outcome(_ body: () async throws -> some Message) async -> String {
            do {
                return try await body().textFormatString()
            } catch let error as ClientError {
                return "\(error.code) \(error.message)"
            } catch {
                return "\(error)"
            }
        }

        /// The errors of a server, one for each call.
        private func errors(_ server: TestServer) async throws -> [String] {
            let connection = try await server.connect()
            let list: PBMemberListResponse = try await connection.unary(
                "/etcdserverpb.Cluster/MemberList",
                PBMemberListRequest()
            )
            let own = list.members[0].id
            let cluster = "/etcdserverpb.Cluster"
            var found: [String] = []
            found.append(
                await outcome { () -> PBMemberRemoveResponse in
                    try await connection.unary("\(cluster)/MemberRemove", PBMemberRemoveRequest.with { $0.id = 5 })
                }
            )
            found.append(
                await outcome { () -> PBMemberUpdateResponse in
                    try await connection.unary("\(cluster)/MemberUpdate", PBMemberUpdateRequest.with { $0.id = 5 })
                }
            )
            found.append(
                await outcome { () -> PBMemberPromoteResponse in
                    try await connection.unary("\(cluster)/MemberPromote", PBMemberPromoteRequest.with { $0.id = own })
                }
            )
            for urls in [[], ["foo"], ["http://host"], ["http://host:1/path"]] as [[String]] {
                found.append(
                    await outcome { () -> PBMemberAddResponse in
                        try await connection.unary(
                            "\(cluster)/MemberAdd",
                            PBMemberAddRequest.with { $0.peerUrls = urls }
                        )
                    }
                )
            }
            for target in [5, own] {
                found.append(
                    await outcome { () -> PBMoveLeaderResponse in
                        try await connection.unary(
                            "/etcdserverpb.Maintenance/MoveLeader",
                            PBMoveLeaderRequest.with { $0.targetID = target }
                        )
                    }
                )
            }
            found.append(
                await outcome { () -> PBDefragmentResponse in
                    try await connection.unary("/etcdserverpb.Maintenance/Defragment", PBDefragmentRequest())
                }
            )
            await connection.close()
            return found
        }

        @Test("errors and empty replies are etcd's", arguments: Engine.selected)
        func same(engine: Engine) async throws {
            try await withTemporaryDirectory { directory in
                let etcd = try await TestServer.etcd(directory: directory)
                let drover = try await TestServer.drover(directory: directory, engine: engine)
                let (expected, found) = (try await errors(etcd), try await errors(drover))
                #expect(found == expected)
                #expect(found.count == 10)
                drover.process.stop()
            }
        }

        @Test("a downgrade is checked, announced once and cancelled")
        func downgrade() async throws {
            try await withTemporaryDirectory { directory in
                let server = try await TestServer.drover(directory: directory)
                let connection = try await server.connect()
                func ask(_ action: PBDowngradeRequest.DowngradeAction, _ version: String = "") async -> String {
                    await outcome { () -> PBDowngradeResponse in
                        let reply: PBDowngradeResponse = try await connection.unary(
                            "/etcdserverpb.Maintenance/Downgrade",
                            PBDowngradeRequest.with {
                                $0.action = action
                                $0.version = version
                            }
                        )
                        return PBDowngradeResponse.with { $0.version = reply.version }
                    }
                }
                #expect(await ask(.validate, "x") == "3 etcdserver: wrong downgrade target version format")
                #expect(await ask(.validate, "3.4.0") == "3 etcdserver: invalid downgrade target version")
                for version in ["3.5.0", "3.5", "3.5.4"] {
                    #expect(await ask(.validate, version) == "version: \"3.6.0\"\n")
                }
                #expect(await ask(.cancel) == "9 etcdserver: no inflight downgrade job")
                #expect(await ask(.enable, "3.5.0") == "version: \"3.6.0\"\n")
                #expect(await ask(.enable, "3.5.0") == "9 etcdserver: cluster has a downgrade job in progress")
                #expect(await ask(.cancel) == "version: \"3.6.0\"\n")
                server.process.stop()
            }
        }

        @Test(
            "defragmentation gives the space of what was compacted back, and etcdctl has it",
            .enabled(if: Engine.selected.contains(.sqlite))
        )
        func defragmentation() async throws {
            try await withTemporaryDirectory { directory in
                let server = try await TestServer.drover(directory: directory)
                let connection = try await server.connect()
                for i in 0..<300 { try await put(connection, "d/\(i % 3)", String(repeating: "x", count: 20_000)) }
                var compact = PBCompactionRequest()
                compact.revision = 301
                compact.physical = true
                let _: PBCompactionResponse = try await connection.unary("/etcdserverpb.KV/Compact", compact)
                func size() async throws -> Int64 {
                    let status: PBStatusResponse = try await connection.unary(
                        "/etcdserverpb.Maintenance/Status",
                        PBStatusRequest()
                    )
                    return status.dbSize
                }
                let before = try await size()
                let etcdctl = try #require(find("etcdctl"), "there is no etcdctl; `make test` installs it")
                let environment = ["ETCDCTL_API": "3", "ETCDCTL_ENDPOINTS": "127.0.0.1:\(server.port)"]
                let result = try run(etcdctl, ["defrag"], environment: environment)
                #expect(result.status == 0, "\(result.error)")
                #expect(try await size() < before / 10)
                #expect(try await get(connection, "d/1").kvs.count == 1)
                try await put(connection, "d/after", "")
                server.process.stop()
            }
        }
    }
}
