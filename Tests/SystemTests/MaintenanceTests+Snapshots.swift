import DroverClient
import EtcdAPI
import Foundation
import SwiftProtobuf
import TestSupport
import Testing

extension SystemTests.Maintenance {
    private func snapshot(_ connection: EtcdConnection, to file: String) async throws {
        let call = try await connection.open("/etcdserverpb.Maintenance/Snapshot")
        try await call.send(PBSnapshotRequest())
        try await call.finishSending()
        var bytes = Data()
        for try await message in call.messages {
            let part = try PBSnapshotResponse(serializedBytes: Array(message.readableBytesView))
            #expect(part.blob.count <= 32 << 10)
            bytes += part.blob
        }
        try bytes.write(to: URL(fileURLWithPath: file))
    }

    @Test("a snapshot taken under load is restored on every backend", arguments: Engine.selected)
    func snapshots(engine: Engine) async throws {
        try await withTemporaryDirectory { directory in
            let server = try await TestServer.drover(directory: directory, engine: engine)
            let connection = try await server.connect()
            let _: PBLeaseGrantResponse = try await connection.unary(
                "/etcdserverpb.Lease/LeaseGrant",
                PBLeaseGrantRequest.with {
                    $0.id = 7
                    $0.ttl = 600
                }
            )
            try await history(connection, seed: 11, 300)
            for i in 0..<3_000 {
                try await put(connection, "bulk\(i)", Data(repeating: UInt8(i & 255), count: 1_024))
            }
            let play = AuthScenario(connection)
            await play.addUser("someone", "secret")
            try await compact(connection, 100)
            // Others write meanwhile; each of their keys counts up.
            let writer = Task {
                let own = try await server.connect()
                var i = 0
                while !Task.isCancelled {
                    i += 1
                    try await put(own, "live", Data("\(i)".utf8))
                }
            }
            let file = "\(directory)/snapshot"
            try await snapshot(connection, to: file)
            writer.cancel()
            _ = await writer.result
            let program = droverExecutable()
            let status = try run(program, ["snapshot", "status", file])
            #expect(status.status == 0, "\(status.error)")
            let words = status.output.split(separator: " ")
            let revision = try #require(Int64(words[1].filter(\.isNumber)), "\(status.output)")
            let expected = try await everything(connection, revision: revision)
            let expectedHash = try await hash(connection, revision)
            for other in Engine.selected {
                let place = "\(directory)/\(other)x"
                try FileManager.default.createDirectory(atPath: place, withIntermediateDirectories: true)
                let endpoint = try other.endpoint(place)
                let restored = try run(
                    program,
                    ["snapshot", "restore", file],
                    environment: ["DROVER_ENDPOINT": endpoint]
                )
                #expect(restored.status == 0, "\(other): \(restored.error)")
                let copy = try await TestServer.drover(directory: place, endpoint: endpoint, log: "copy.log")
                let second = try await copy.connect()
                let found = try await everything(second)
                #expect(found.kvs == expected.kvs && found.header.revision == revision, "\(other)")
                #expect(try await hash(second, revision).hash == expectedHash.hash, "\(other)")
                let lease: PBLeaseTimeToLiveResponse = try await second.unary(
                    "/etcdserverpb.Lease/LeaseTimeToLive",
                    PBLeaseTimeToLiveRequest.with {
                        $0.id = 7
                        $0.keys = true
                    }
                )
                #expect(lease.grantedTtl == 600 && lease.keys.count == expected.kvs.filter { $0.lease == 7 }.count)
                let users: PBAuthUserListResponse = try await second.unary(
                    "/etcdserverpb.Auth/UserList",
                    PBAuthUserListRequest()
                )
                #expect(users.users == ["someone"])
                // History from the mark on is there, and what comes next goes on from it.
                #expect(
                    try await everything(second, revision: 101).kvs == everything(connection, revision: 101).kvs
                )
                try await put(second, "next")
                #expect(try await everything(second).header.revision == revision + 1)
                copy.process.stop()
                let twice = try run(
                    program,
                    ["snapshot", "restore", file],
                    environment: ["DROVER_ENDPOINT": endpoint]
                )
                #expect(twice.status == 1 && twice.error.contains("not empty"), "\(twice.error)")
            }
            server.process.stop()
        }
    }

    @Test("a damaged snapshot is refused, and etcdctl takes ours for whole")
    func damagedSnapshots() async throws {
        try await withTemporaryDirectory { directory in
            let server = try await TestServer.drover(directory: directory)
            let connection = try await server.connect()
            for i in 0..<50 { try await put(connection, "k\(i % 20)", Data("\(i)".utf8)) }
            let etcdctl = try #require(find("etcdctl"))
            let file = "\(directory)/saved"
            let saved = try run(
                etcdctl,
                ["snapshot", "save", file],
                environment: ["ETCDCTL_API": "3", "ETCDCTL_ENDPOINTS": "127.0.0.1:\(server.port)"]
            )
            #expect(saved.status == 0, "\(saved.error)")
            server.process.stop()
            let whole = try Data(contentsOf: URL(fileURLWithPath: file))
            var changed = whole
            changed[whole.count / 2] ^= 1
            let broken: [(String, Data)] = [
                ("short", whole.dropLast(40)), ("changed", changed), ("foreign", Data(repeating: 9, count: 4_096)),
                ("empty", Data()),
            ]
            for (name, bytes) in broken {
                let path = "\(directory)/\(name)"
                try bytes.write(to: URL(fileURLWithPath: path))
                for extra in [[], ["--skip-hash-check"]] as [[String]] where name != "changed" || extra.isEmpty {
                    let target = "\(directory)/\(name)\(extra.count).db"
                    let result = try run(
                        droverExecutable(),
                        ["snapshot", "restore", path, "--endpoint", "sqlite://\(target)"] + extra
                    )
                    let isRefused = result.status == 1 && result.error.hasPrefix("error: drover:")
                    // Without its checksum the rest of it is whole.
                    #expect(isRefused || (name == "short" && !extra.isEmpty), "\(name): \(result.error)")
                }
            }
            let good = try run(
                droverExecutable(),
                ["snapshot", "restore", file, "--endpoint", "sqlite://\(directory)/good.db"]
            )
            #expect(good.status == 0 && good.output.hasPrefix("restored revision"), "\(good.error)")
        }
    }
}
