import DroverClient
import EtcdAPI
import Foundation
import TestSupport
import Testing

extension SystemTests {
    /// Renewals that come as a lease ends, through instances whose clocks differ.
    @Suite("renewals race expiry")
    struct LeaseRace {
        /// What was seen of one lease.
        private struct Life: Sendable {
            var id: Int64
            /// The last renewal that was granted: when it was sent, and when it was answered.
            var renewed: (sent: ContinuousClock.Instant, answered: ContinuousClock.Instant)
            var renewals = 0
            /// Whether its end was told by a renewal.
            var wasRefused = false
        }

        private static let ttl: Int64 = 2

        /// Renews a lease, now in time and now as it ends, until a renewal comes too late.
        private func live(_ id: Int64, through connections: [EtcdConnection]) async throws -> Life {
            var generator = SeededGenerator(seed: UInt64(id))
            let granted = ContinuousClock.now
            var grant = PBLeaseGrantRequest()
            grant.id = id
            grant.ttl = Self.ttl
            let _: PBLeaseGrantResponse = try await connections[0].unary("/etcdserverpb.Lease/LeaseGrant", grant)
            try await put(connections[Int(id) % connections.count], "race/\(id)", "", lease: id)
            var life = Life(id: id, renewed: (granted, .now))
            for _ in 0..<100 {
                // Most pauses are short; one in four ends within a quarter of a second of the lease.
                let ends = Int.random(in: 0..<4, using: &generator) == 0
                let milliseconds =
                    ends
                    ? Int.random(in: 1_800...2_250, using: &generator) : Int.random(in: 50...900, using: &generator)
                try await Task.sleep(for: .milliseconds(milliseconds))
                let sent = ContinuousClock.now
                let connection = connections[Int.random(in: 0..<connections.count, using: &generator)]
                let ttl = try await renew(connection, id)
                #expect(ttl == 0 || ttl == Self.ttl)
                if ttl == 0 {
                    life.wasRefused = true
                    break
                }
                life.renewed = (sent, .now)
                life.renewals += 1
            }
            return life
        }

        @Test(
            "each lease ends once, never before its time, and no renewal after its end is granted",
            arguments: Engine.shared
        )
        func race(engine: Engine) async throws {
            try await withTemporaryDirectory { directory in
                var servers: [TestServer] = []
                for (number, skew) in ["+0s", "+3600s", "-7200s"].enumerated() {
                    servers.append(
                        try await TestServer.drover(
                            directory: directory,
                            engine: engine,
                            log: "drover-\(number).log",
                            environment: try Faketime.environment(skew)
                        )
                    )
                }
                let connections = try await servers.asyncMap { try await $0.connect() }
                let watch = try await WatchCollector(servers[0], prefix: "race/")
                let count = min(TestScale.leases, 500)
                let lives = try await withThrowingTaskGroup(of: Life.self) { group in
                    for id in 1...count {
                        group.addTask {
                            // Their ends are to be spread, too.
                            try await Task.sleep(for: .milliseconds(id * 4))
                            return try await live(Int64(id), through: connections)
                        }
                    }
                    return try await group.reduce(into: [Life]()) { $0.append($1) }
                }
                try await watch.wait(for: 2 * count)
                try await Task.sleep(for: .seconds(1))
                let events = await watch.events
                let arrivals = await watch.arrivals
                let deletions = Dictionary(grouping: events.filter { $0.type == .delete }, by: \.kv.key)
                #expect(deletions.count == count && deletions.values.allSatisfy { $0.count == 1 })
                var early = 0
                var late = Duration.zero
                for life in lives {
                    let event = try #require(deletions[Data("race/\(life.id)".utf8)]?.first)
                    let arrival = try #require(arrivals[event.kv.modRevision])
                    // A renewal counts from when it is carried out, which is after it was sent.
                    if arrival < life.renewed.sent + .seconds(Self.ttl) { early += 1 }
                    late = max(late, (life.renewed.answered + .seconds(Self.ttl)).duration(to: arrival))
                }
                #expect(early == 0, "\(early) of \(count) leases ended early")
                #expect(late < .seconds(10))
                let renewals = lives.reduce(0) { $0 + $1.renewals }
                let refused = lives.filter(\.wasRefused).count
                #expect(refused > count / 2, "\(refused) of \(count) renewals came too late")
                print(
                    "\(engine): \(renewals) renewals, \(refused) that came too late; the last lease ended \(late) late"
                )
                for server in servers { server.process.stop() }
            }
        }
    }
}
