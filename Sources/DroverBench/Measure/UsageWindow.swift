import Synchronization

#if canImport(FoundationEssentials)
    import FoundationEssentials
#else
    import Foundation
#endif

/// What the serving process and this one use while calls are measured: no warm-up and nothing that was prepared is in it.
final class UsageWindow: Sendable {
    private let server: Int32?
    private let load = ProcessInfo.processInfo.processIdentifier
    private let samples = Mutex<Samples>(Samples())
    private let timer = Mutex<Task<Void, Never>?>(nil)

    private struct Samples: Sendable {
        var serverBefore: ProcessUsage?
        var serverAfter: ProcessUsage?
        var loadBefore: ProcessUsage?
        var loadAfter: ProcessUsage?
    }

    init(server: Int32?) { self.server = server }

    /// Looks at both processes at these moments, nanoseconds of ``Clock``; at once where the first has come.
    func measure(from begin: UInt64, to end: UInt64) {
        func wait(until moment: UInt64) async throws {
            let now = Clock.now()
            if moment > now { try await Task.sleep(nanoseconds: moment - now) }
        }
        if begin <= Clock.now() { sampleBefore() }
        let task = Task {
            do {
                if self.samples.withLock({ $0.loadBefore == nil }) {
                    try await wait(until: begin)
                    self.sampleBefore()
                }
                try await wait(until: end)
                self.sampleAfter()
            } catch {}
        }
        timer.withLock { $0 = task }
    }

    private func sampleBefore() {
        if let server { ProcessUsage.forgetPeak(server) }
        if server != load { ProcessUsage.forgetPeak(load) }
        samples.withLock {
            $0.serverBefore = server.flatMap { ProcessUsage($0) }
            $0.loadBefore = ProcessUsage(load)
        }
    }

    private func sampleAfter() {
        samples.withLock {
            $0.serverAfter = server.flatMap { ProcessUsage($0) }
            $0.loadAfter = ProcessUsage(load)
        }
    }

    /// - Parameter now: whether the time is over now, and not when it was said to be.
    func finish(
        now: Bool
    ) async -> (server: (processorSeconds: Double, peakBytes: Int)?, load: (processorSeconds: Double, peakBytes: Int)) {
        let task = timer.withLock { $0 }
        if now {
            task?.cancel()
            sampleAfter()
        } else {
            await task?.value
        }
        return samples.withLock { samples in
            var server: (Double, Int)?
            if let before = samples.serverBefore, let after = samples.serverAfter {
                server = (after.processorSeconds - before.processorSeconds, after.peakBytes)
            }
            let seconds = (samples.loadAfter?.processorSeconds ?? 0) - (samples.loadBefore?.processorSeconds ?? 0)
            return (server, (seconds, samples.loadAfter?.peakBytes ?? 0))
        }
    }
}
