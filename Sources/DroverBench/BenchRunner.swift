public import Drover
public import DroverClient

#if canImport(FoundationEssentials)
    import FoundationEssentials
#else
    import Foundation
#endif

/// Runs workloads against targets, in turn and interleaved, so that a machine that drifts does not decide.
public struct BenchRunner: Sendable {
    /// What is told while it runs.
    public enum Progress: Sendable {
        /// What the workload needs first is written.
        case preparing(workload: String, target: String)
        /// Five times a second: seconds measured of the total with the warm-up, calls, microseconds, seconds left.
        case running(
            workload: String,
            target: String,
            round: Int,
            of: Int,
            seconds: Double,
            total: Double,
            calls: Int,
            p50: Double,
            p99: Double,
            left: Double
        )
        /// A round is over.
        case finished(workload: String, target: String, round: Int, of: Int, BenchReport.Round)
        /// The target cannot do it, or not any more; the reason holds no password.
        case skipped(workload: String, target: String, reason: String)
        /// What the workload wrote could not be taken away again, and is below the prefix.
        case left(workload: String, target: String, prefix: String, reason: String)
    }

    private let settings: BenchSettings
    private let workloads: [String]
    private let targets: [any BenchTarget]
    private let progress: @Sendable (Progress) -> Void
    private let isFollowed: Bool

    /// Finds the targets, and asks endpoints for their version.
    ///
    /// - Parameters:
    ///   - targets: `NAME=URL` or a URL; of the schemes that `drivers` know, or `http`, `https`, `unix`, `unixs` of an
    ///     endpoint.
    ///   - workloads: names of ``WorkloadCatalog``.
    ///   - settings: what is measured, and how long.
    ///   - drivers: of the databases that may be opened in this process.
    ///   - tls: how endpoints are reached whose scheme is https.
    ///   - user: whose token calls to endpoints carry; nil where there is no auth.
    ///   - threads: event loops that make the load of an endpoint. Default 1.
    ///   - isFollowed: whether rounds are told of while they run, which costs what is measured a little. Default true.
    ///   - progress: told from any thread.
    /// - Throws: ``BenchError`` when something cannot be measured, `ClientError` when an endpoint does not answer.
    public init(
        targets: [String],
        workloads: [String],
        settings: BenchSettings,
        drivers: [any DriverProvider.Type],
        tls: ClientTLS? = nil,
        user: (name: String, password: String)? = nil,
        threads: Int = 1,
        isFollowed: Bool = true,
        progress: @escaping @Sendable (Progress) -> Void = { _ in }
    ) async throws {
        try Self.check(settings)
        guard (1...256).contains(threads) else { throw BenchError("threads must be 1 to 256") }
        for name in workloads where WorkloadCatalog.entry(name) == nil {
            let known = WorkloadCatalog.entries.map(\.name).joined(separator: ", ")
            throw BenchError("there is no workload \(name); there are \(known)")
        }
        var parsed: [any BenchTarget] = []
        for text in targets {
            let (name, url) = Self.split(text, drivers)
            if parsed.contains(where: { $0.name == name }) { throw BenchError("two targets are called \(name)") }
            if ["http://", "https://", "unix://", "unixs://"].contains(where: { url.hasPrefix($0) }) {
                parsed.append(
                    try await WireTarget(
                        name: name,
                        endpoint: try Endpoint(url),
                        tls: tls,
                        user: user,
                        threads: threads
                    )
                )
            } else {
                // No more than what kind it is: the rest may hold a password.
                let shown = drivers.first { $0.serves(url) }?.schemes.first ?? "unknown"
                parsed.append(
                    LibraryTarget(name: name, endpoint: url, drivers: drivers, details: "\(shown), in this process")
                )
            }
        }
        self.targets = parsed
        self.settings = settings
        self.workloads = workloads
        self.progress = progress
        self.isFollowed = isFollowed
    }

    /// A name for reports, which must hold no password.
    private static func split(_ text: String, _ drivers: [any DriverProvider.Type]) -> (name: String, url: String) {
        // Pairs of `key=value` are an endpoint too.
        if let driver = drivers.first(where: { $0.serves(text) }) { return (driver.schemes.first ?? "database", text) }
        if let equals = text.firstIndex(of: "="), !text[..<equals].contains("/"), !text[..<equals].contains(":") {
            return (String(text[..<equals]), String(text[text.index(after: equals)...]))
        }
        let scheme = text.prefix { $0 != ":" }
        let isEndpoint = scheme.hasPrefix("http")
        return (isEndpoint ? String(text.drop { $0 != "/" }.drop { $0 == "/" }) : "\(scheme)", text)
    }

    private static func check(_ settings: BenchSettings) throws {
        let most = BenchSettings.most
        func check(_ isGood: Bool, _ text: String) throws { if !isGood { throw BenchError(text) } }
        func check<T: Comparable>(_ value: T, _ range: ClosedRange<T>, _ name: String) throws {
            try check(range.contains(value), "\(name) must be \(range.lowerBound) to \(range.upperBound)")
        }
        try check(settings.connections, 1...most.connections, "connections")
        try check(settings.streams, 1...most.streams, "streams")
        try check(settings.lanes, 1...most.lanes, "connections times streams")
        try check(settings.seconds, 0.001...most.seconds, "seconds of a round")
        try check(settings.warmUpSeconds, 0...most.warmUpSeconds, "seconds of the warm-up")
        try check(settings.rounds, 1...most.rounds, "rounds")
        try check(settings.keys, 1...most.keys, "keys")
        if settings.rate != 0 { try check(settings.rate, 0.001...most.rate, "the rate") }
        try check(settings.readRatio, 0...1, "the read ratio")
        try check(settings.nodes, 1...most.nodes, "nodes")
        try check(settings.watchers, 1...most.watchers, "watchers")
        try check(settings.leases, 1...most.leases, "leases")
        try check(settings.history, 1...most.history, "the history")
        if let folder = settings.folder?.utf8 {
            let isVisible = folder.allSatisfy { (33...126).contains($0) && $0 != UInt8(ascii: "/") }
            try check(
                isVisible && (1...100).contains(folder.count),
                "the folder's name must be 1 to 100 visible ASCII characters without /"
            )
        }
        try check(KeyOrder(rawValue: settings.keyOrder) != nil, "the key order must be random, sequential or zipf")
        for size in [settings.keySize, settings.valueSize] where SizeDistribution(size) == nil {
            throw BenchError("a size must be BYTES, uniform:LOW-HIGH or zipf:LOW-HIGH")
        }
    }

    /// Measures everything.
    ///
    /// A target that cannot be opened, or is lost on the way, is not measured from there on; the report says why.
    ///
    /// - Parameter isOver: asked before each round whether there is to be none any more: what was measured is reported, and
    ///   what was written taken away.
    public func run(until isOver: @Sendable () -> Bool = { false }) async -> BenchReport {
        var report = BenchReport(
            date: Date().formatted(.iso8601),
            machine: Machine.description,
            settings: settings,
            targets: targets.map {
                .init(name: $0.name, details: $0.details, isInProcess: $0.isInProcess, isOnServer: $0.isOnServer)
            }
        )
        let run = String(UInt32.random(in: 0...UInt32.max), radix: 36)
        for name in workloads where !isOver() {
            let workload = WorkloadCatalog.entry(name)!.make()
            var measurements = targets.map {
                BenchReport.Measurement(workload: name, target: $0.name, rounds: [], skipped: nil)
            }
            let folder = workload.findsKeys ? settings.folder : nil
            // Of each target its own, unless they stay: two may be instances on one database.
            let prefixes = targets.indices.map { "/drover-bench/\(folder ?? "\(run)/\(name)/\($0)")/" }
            for round in 0..<settings.rounds {
                for turn in targets.indices {
                    // Begun with another one each round: none always comes behind the same neighbour's writes.
                    let place = (turn + round) % targets.count
                    let target = targets[place]
                    if measurements[place].skipped != nil { continue }
                    if isOver() {
                        measurements[place].skipped = "the run was ended"
                        continue
                    }
                    do {
                        let result = try await self.round(workload, name, target, prefixes[place], round)
                        measurements[place].rounds.append(result)
                        progress(
                            .finished(
                                workload: name,
                                target: target.name,
                                round: round + 1,
                                of: settings.rounds,
                                result
                            )
                        )
                    } catch {
                        let reason = Self.words(error)
                        measurements[place].skipped = reason
                        progress(.skipped(workload: name, target: target.name, reason: reason))
                    }
                }
            }
            if folder == nil {
                for (prefix, target) in zip(prefixes, targets) { await clear(prefix, name, target) }
            }
            report.measurements += measurements
        }
        return report
    }

    /// Takes a workload's keys away, where the target can still be reached.
    private func clear(_ prefix: String, _ workload: String, _ target: any BenchTarget) async {
        let session: any BenchSession
        do {
            session = try await target.open(connections: 1)
        } catch {
            return progress(
                .left(workload: workload, target: target.name, prefix: prefix, reason: Self.words(error))
            )
        }
        let keys = KeyMaker(prefix: prefix, size: .fixed(0), seed: 0)
        do {
            _ = try await session.perform(.delete(key: keys.first, end: keys.end))
        } catch {
            progress(.left(workload: workload, target: target.name, prefix: prefix, reason: Self.words(error)))
        }
        await session.close()
    }

    /// Messages of the errors that a target may end with hold no password.
    private static func words(_ error: any Error) -> String {
        switch error {
        case let error as OperationFailure: error.description
        case let error as DroverError: error.message
        case let error as ClientError: error.message
        default: "\(error)"
        }
    }

    private func round(
        _ workload: any Workload,
        _ name: String,
        _ target: any BenchTarget,
        _ prefix: String,
        _ round: Int
    ) async throws -> BenchReport.Round {
        let session = try await target.open(connections: settings.connections)
        let recorder = LoadRecorder(parts: 16, isOpenLoop: settings.rate > 0)
        let usage = UsageWindow(server: target.process)
        let once = workload.isMeasuredOnce
        let settings = settings
        let bench = WorkloadBench(
            session: session,
            target: target,
            settings: settings,
            prefix: prefix,
            round: round,
            recorder: recorder
        ) {
            let begin = Clock.now() + (once ? 0 : UInt64(settings.warmUpSeconds * 1e9))
            // What is measured once is over when it is.
            let end = begin + UInt64((once ? 3_600 : settings.seconds) * 1e9)
            recorder.open(from: begin, to: end)
            usage.measure(from: begin, to: end)
        }
        let follower = isFollowed ? Task { await follow(name, target.name, round, recorder, once) } : nil
        defer { follower?.cancel() }
        do {
            progress(.preparing(workload: name, target: target.name))
            try await workload.prepare(bench)
            var figures = try await workload.run(bench)
            let lost = recorder.lanesLost.load(ordering: .relaxed)
            if lost > 0 { figures["lanes lost"] = Double(lost) }
            let used = await usage.finish(now: once)
            let seconds = once ? Double(Clock.now() - recorder.begin) / 1e9 : settings.seconds
            await session.close()
            let total = recorder.total()
            var series: [String: BenchReport.Series] = [:]
            for kind in OperationKind.allCases {
                guard let seen = total.series[kind.rawValue] else { continue }
                series[kind.name] = BenchReport.Series(seen, seconds: seconds)
            }
            return BenchReport.Round(
                seconds: seconds,
                series: series,
                figures: figures,
                errors: total.errors,
                processorSeconds: used.server?.processorSeconds,
                peakBytes: used.server?.peakBytes,
                loadSeconds: used.load.processorSeconds,
                loadPeakBytes: used.load.peakBytes
            )
        } catch {
            await session.close()
            throw error
        }
    }

    /// Tells how a round goes, five times a second.
    private func follow(
        _ workload: String,
        _ target: String,
        _ round: Int,
        _ recorder: LoadRecorder,
        _ once: Bool
    ) async {
        while !Task.isCancelled {
            try? await Task.sleep(nanoseconds: 200_000_000)
            // Until its time is known the round is being prepared.
            if Task.isCancelled { return }
            if recorder.begin == .max { continue }
            let current = recorder.current
            let total = current.total()
            let main = total.series.compactMap { $0 }.max { $0.times.totalCount < $1.times.totalCount }
            let now = Clock.now()
            let length = once ? 0 : settings.warmUpSeconds + settings.seconds
            progress(
                .running(
                    workload: workload,
                    target: target,
                    round: round + 1,
                    of: settings.rounds,
                    seconds: now > current.begin ? Double(min(now, current.end) - current.begin) / 1e9 : 0,
                    total: length,
                    calls: current.made.load(ordering: .relaxed),
                    p50: Double(main?.times.valueAtPercentile(50) ?? 0) / 1_000,
                    p99: Double(main?.times.valueAtPercentile(99) ?? 0) / 1_000,
                    left: once || now > recorder.end ? 0 : Double(recorder.end - now) / 1e9
                )
            )
        }
    }
}
