import DroverClient
import EtcdAPI
import Foundation
import TestSupport
import Testing

extension SystemTests {
    /// What the start of an instance does to the leases of all.
    @Suite("an instance that starts on a shared database")
    struct InstanceStart {
        private func lease(_ server: TestServer, _ id: Int64, ttl: Int64, key: String) async throws {
            let connection = try await server.connect()
            var grant = PBLeaseGrantRequest()
            grant.id = id
            grant.ttl = ttl
            let _: PBLeaseGrantResponse = try await connection.unary("/etcdserverpb.Lease/LeaseGrant", grant)
            try await put(connection, key, "", lease: id)
            await connection.close()
        }

        private func isThere(_ server: TestServer, _ key: String) async throws -> Bool {
            let connection = try await server.connect()
            let count = try await get(connection, key).kvs.count
            await connection.close()
            return count == 1
        }

        @Test("starts again and again keep no lease alive that nobody renews", arguments: Engine.shared)
        func joining(engine: Engine) async throws {
            try await withTemporaryDirectory { directory in
                let one = try await TestServer.drover(directory: directory, engine: engine, log: "one.log")
                let granted = ContinuousClock.now
                try await lease(one, 1, ttl: 4, key: "k")
                while ContinuousClock.now - granted < .seconds(9) {
                    let two = try await TestServer.drover(directory: directory, engine: engine, log: "two.log")
                    try await Task.sleep(nanoseconds: 500_000_000)
                    let isKept = try await isThere(two, "k")
                    if ContinuousClock.now - granted < .seconds(4) { #expect(isKept) }
                    two.process.signal(SIGKILL)
                    two.process.wait()
                }
                #expect(try await !isThere(one, "k"))
                one.process.stop()
            }
        }

        @Test("the first after all have died gives leases their full time")
        func first() async throws {
            try await Engine.allShared { engine in try await first(engine) }
        }

        private func first(_ engine: Engine) async throws {
            try await withTemporaryDirectory { directory in
                let one = try await TestServer.drover(directory: directory, engine: engine, log: "one.log")
                try await lease(one, 1, ttl: 8, key: "k")
                try await Task.sleep(nanoseconds: 5_000_000_000)
                one.process.signal(SIGKILL)
                one.process.wait()
                let two = try await TestServer.drover(directory: directory, engine: engine, log: "two.log")
                let started = ContinuousClock.now
                while ContinuousClock.now - started < .seconds(7) {
                    #expect(try await isThere(two, "k"))
                    try await Task.sleep(nanoseconds: 200_000_000)
                }
                // Eight seconds from when it was known that nobody else serves.
                var isGone = false
                while !isGone, ContinuousClock.now - started < .seconds(20) {
                    try await Task.sleep(nanoseconds: 200_000_000)
                    isGone = try await !isThere(two, "k")
                }
                #expect(isGone)
                two.process.stop()
            }
        }
    }
}
