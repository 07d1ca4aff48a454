import DroverClient
import EtcdAPI
import Foundation
import TestSupport
import Testing

extension SystemTests.MultiInstance {
    @Test(
        "an instance that is stopped in the middle of a batch holds others up for a few seconds at most",
        arguments: Engine.shared
    )
    func stoppedInstance(engine: Engine) async throws {
        var longest = try await holdUp(engine)
        // A machine under load may stop the other instance, too: once more, then.
        if longest > .seconds(5) { longest = try await holdUp(engine) }
        #expect(longest <= .seconds(5))
    }

    /// The longest that one instance waited for another that was stopped while it wrote.
    private func holdUp(_ engine: Engine) async throws -> Duration {
        try await withTemporaryDirectory { directory in
            let servers = try await start(2, engine, directory)
            let (one, two) = (try await servers[0].connect(), try await servers[1].connect())
            let watch = try await WatchCollector(servers[1], prefix: "s/")
            let others = try await WatchCollector(servers[1], prefix: "other")
            // What the store held while the first instance stood still.
            var stood: [PBRangeResponse] = []
            let load = Task {
                await withTaskGroup(of: (acknowledged: Int, open: Int).self) { group in
                    for lane in 0..<20 {
                        group.addTask {
                            var (acknowledged, open) = (0, 0)
                            while !Task.isCancelled {
                                // Large enough for a stop to fall into the middle of a flight, too.
                                let value = String(repeating: "x", count: lane % 2 == 0 ? 10 : 64 << 10)
                                if (try? await put(one, "s/\(lane)", value)) != nil {
                                    acknowledged += 1
                                } else {
                                    open += 1
                                    try? await Task.sleep(nanoseconds: 1_000_000)
                                }
                            }
                            return (acknowledged, open)
                        }
                    }
                    return await group.reduce((0, 0)) { ($0.0 + $1.acknowledged, $0.1 + $1.open) }
                }
            }
            defer { load.cancel() }
            var longest = Duration.zero
            var hits = 0
            for i in 0..<100 where hits < 4 {
                try await Task.sleep(nanoseconds: UInt64.random(in: 5_000_000...60_000_000))
                servers[0].process.signal(SIGSTOP)
                let begun = ContinuousClock.now
                // One that is told to have timed out has waited for too long as well.
                _ = try? await put(two, "other", "\(i)")
                let taken = begun.duration(to: .now)
                longest = max(longest, taken)
                if taken > .milliseconds(500) {
                    hits += 1
                    stood.append(try await range(two))
                }
                servers[0].process.signal(SIGCONT)
            }
            print("\(engine): a stopped instance held another up for \(longest), \(hits) times")
            #expect(hits > 0, "no stop hit an instance between lock and commit")
            load.cancel()
            let (acknowledged, open) = await load.value
            // The batch that it had begun was refused when it woke: nothing came to be in revisions that were over.
            for state in stood {
                let now = try await range(two, revision: state.header.revision)
                #expect(now.kvs == state.kvs && now.count == state.count)
            }
            // It was carried out again, and once, in revisions of its own. A lane that was told to end may have left a put on
            // its way: what comes after the last one does not count.
            let last = try await put(two, "other", "last")
            let reply = try await range(two, revision: last)
            let versions = reply.kvs.reduce(0) { $0 + $1.version }
            #expect((acknowledged...acknowledged + open).contains(Int(versions)))
            try await others.waitInOrder(until: last)
            try await watch.wait(for: Int(versions))
            let seen = await (watch.revisions + others.revisions).filter { $0 <= last }.sorted()
            #expect(seen == Array(2...last))
            print("\(engine): \(versions) versions, \(acknowledged) acknowledged, \(open) without an answer")
            for server in servers { server.process.stop() }
            return longest
        }
    }

    /// The first instance's keys.
    private func range(_ connection: EtcdConnection, revision: Int64 = 0) async throws -> PBRangeResponse {
        var request = PBRangeRequest()
        request.key = Data("s/".utf8)
        request.rangeEnd = Data("s0".utf8)
        request.revision = revision
        return try await connection.unary("/etcdserverpb.KV/Range", request)
    }
}
