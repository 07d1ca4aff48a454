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
                if taken > .milliseconds(500) { hits += 1 }
                servers[0].process.signal(SIGCONT)
            }
            print("\(engine): a stopped instance held another up for \(longest), \(hits) times")
            #expect(hits > 0, "no stop hit an instance between lock and commit")
            load.cancel()
            let (acknowledged, open) = await load.value
            // What was refused when it woke was carried out again, and once.
            var all = PBRangeRequest()
            all.key = Data("s/".utf8)
            all.rangeEnd = Data("s0".utf8)
            let reply: PBRangeResponse = try await two.unary("/etcdserverpb.KV/Range", all)
            let versions = reply.kvs.reduce(0) { $0 + $1.version }
            #expect((acknowledged...acknowledged + open).contains(Int(versions)))
            print("\(engine): \(versions) versions, \(acknowledged) acknowledged, \(open) without an answer")
            for server in servers { server.process.stop() }
            return longest
        }
    }
}
