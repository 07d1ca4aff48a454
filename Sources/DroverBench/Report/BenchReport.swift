import Histogram

#if canImport(FoundationEssentials)
    import FoundationEssentials
#else
    import Foundation
#endif

/// What a run of the harness found, as it is written to a file.
public struct BenchReport: Codable, Sendable {
    /// One kind of call in one round.
    public struct Series: Codable, Sendable {
        /// How many were answered: of those begun within the time, or in an open loop of those that were due and answered in it.
        public var calls: Int
        /// Calls a second.
        public var rate: Double
        /// Keys of the answers, a second.
        public var keysPerSecond: Double
        /// Bytes of the answers, a second.
        public var bytesPerSecond: Double
        /// The mean time, microseconds.
        public var mean: Double
        /// Microseconds by percentile, in the order of ``BenchReport/percentiles``.
        public var percentiles: [Double]
        /// The longest time, microseconds.
        public var worst: Double
        /// The mean and the worst in microseconds, and the calls, of each sixtieth of the round.
        public var overTime: [Moment]
    }

    /// A sixtieth of a round.
    public struct Moment: Codable, Sendable {
        /// Calls that ended in it.
        public var calls: Int
        /// Their mean time, microseconds.
        public var mean: Double
        /// The longest of their times, microseconds.
        public var worst: Double
    }

    /// One round of a workload on a target.
    public struct Round: Codable, Sendable {
        /// Seconds measured.
        public var seconds: Double
        /// By kind of call.
        public var series: [String: Series]
        /// Figures of the workload's own, such as lost events.
        public var figures: [String: Double]
        /// Calls that failed, by the text of their error.
        public var errors: [String: Int]
        /// Processor seconds, while it was measured, of the process that serves, where it is on this machine. Of a store in
        /// this process the load is in it.
        public var processorSeconds: Double?
        /// The peak of that process's memory in the meantime, bytes.
        public var peakBytes: Int?
        /// Processor seconds of the process that makes the load.
        public var loadSeconds: Double
        /// The peak of its memory, bytes; nil in a file of an older version.
        public var loadPeakBytes: Int?

        /// Calls of all kinds; what is told by watches is no call.
        public var calls: Int {
            series.reduce(0) { sum, entry in
                OperationKind.isCall(entry.key) ? sum + entry.value.calls : sum
            }
        }
    }

    /// All rounds of a workload on a target.
    public struct Measurement: Codable, Sendable {
        /// The workload's name.
        public var workload: String
        /// The target's name.
        public var target: String
        /// In order; those before it could not go on.
        public var rounds: [Round]
        /// Why it was not measured, or not to the end; nil where it was.
        public var skipped: String?
    }

    /// Something that was measured.
    public struct Target: Codable, Sendable {
        /// As it was given, or the URL's scheme or host; never a password.
        public var name: String
        /// What it is.
        public var details: String
        /// Whether it ran in the process of the load.
        public var isInProcess: Bool
        /// Whether a database server, whose own process is not measured, is beneath what ran in the process; older reports do
        /// not say.
        public var isOnServer: Bool?
    }

    /// Changes when a reader of an older one would misunderstand.
    public var format = 4
    /// When it began (ISO 8601).
    public var date: String
    /// What it ran on.
    public var machine: String
    /// What was asked for.
    public var settings: BenchSettings
    /// In the order they were given; ratios are the first one's.
    public var targets: [Target]
    /// Workload by workload, target by target.
    public var measurements: [Measurement]

    /// The percentiles that are kept: enough for a curve, and those that are asked for.
    public static let percentiles: [Double] =
        [0, 1, 5, 10, 20, 25, 30, 40, 50, 60, 70, 75, 80, 85, 90, 92.5, 95, 97.5, 98, 99, 99.5, 99.9, 99.99, 100]

    static func place(_ percentile: Double) -> Int { percentiles.firstIndex(of: percentile)! }

    func measurement(_ workload: String, _ target: String) -> Measurement? {
        measurements.first { $0.workload == workload && $0.target == target }
    }

    /// Reads one from a file.
    ///
    /// - Throws: what reading a file or JSON throws.
    public init(contentsOf path: String) throws {
        self = try JSONDecoder().decode(BenchReport.self, from: Data(contentsOf: URL(fileURLWithPath: path)))
        let series = measurements.flatMap { $0.rounds.flatMap(\.series.values) }
        guard series.allSatisfy({ $0.percentiles.count == Self.percentiles.count }) else {
            throw BenchError("the file's figures are of another version of the harness")
        }
    }

    /// Writes it to a file.
    ///
    /// - Throws: what writing a file throws.
    public func write(to path: String) throws {
        let encoder = JSONEncoder()
        encoder.outputFormatting = [.sortedKeys, .prettyPrinted]
        try encoder.encode(self).write(to: URL(fileURLWithPath: path))
    }

    init(date: String, machine: String, settings: BenchSettings, targets: [Target]) {
        self.date = date
        self.machine = machine
        self.settings = settings
        self.targets = targets
        measurements = []
    }
}

extension BenchReport {
    /// Calls of all rounds that were answered, and that failed.
    public var answered: (calls: Int, errors: Int) {
        let rounds = measurements.flatMap(\.rounds)
        return (
            rounds.reduce(0) { $0 + $1.calls }, rounds.reduce(0) { $0 + $1.errors.values.reduce(0, +) }
        )
    }

    /// Whether a watch or a lease was not served as it must be, or a connection was lost.
    public var hasFaults: Bool {
        measurements.contains { measurement in Measurement.faults.contains { measurement.total($0) > 0 } }
    }
}

extension BenchReport.Series {
    init(_ series: LoadRecorder.Series, seconds: Double) {
        calls = Int(series.calls)
        rate = Double(calls) / seconds
        keysPerSecond = Double(series.keys) / seconds
        bytesPerSecond = Double(series.bytes) / seconds
        mean = series.times.mean / 1_000
        percentiles = BenchReport.percentiles.map { Double(series.times.valueAtPercentile($0)) / 1_000 }
        worst = Double(series.times.max) / 1_000
        overTime = series.slots.map { slot in
            BenchReport.Moment(
                calls: Int(slot.calls),
                mean: slot.calls > 0 ? Double(slot.total) / Double(slot.calls) / 1_000 : 0,
                worst: Double(slot.worst) / 1_000
            )
        }
    }

    func percentile(_ value: Double) -> Double { percentiles[BenchReport.place(value)] }
}

extension BenchReport.Round {
    var rate: Double? { seconds > 0 && calls > 0 ? Double(calls) / seconds : nil }
}

extension BenchReport {
    /// Of an even number of values, what lies between the two in the middle.
    static func median(_ values: [Double]) -> Double? {
        if values.isEmpty { return nil }
        let sorted = values.sorted()
        return (sorted[(sorted.count - 1) / 2] + sorted[sorted.count / 2]) / 2
    }
}

extension BenchReport.Measurement {
    /// The kinds of calls, those made most first.
    var kinds: [String] {
        var calls: [String: Int] = [:]
        for round in rounds { for (kind, series) in round.series { calls[kind, default: 0] += series.calls } }
        return calls.keys.sorted { (calls[$0]!, $1) > (calls[$1]!, $0) }
    }

    /// The median over the rounds.
    func median(_ value: (BenchReport.Round) -> Double?) -> Double? {
        BenchReport.median(rounds.compactMap(value))
    }

    /// The largest of the rounds.
    func largest(_ value: (BenchReport.Round) -> Double?) -> Double? { rounds.compactMap(value).max() }

    /// Calls of all kinds a second; nil of a workload that makes none. A round without an answer counts where others have some.
    var rate: Double? { rounds.contains { $0.rate != nil } ? median { $0.rate ?? 0 } : nil }

    /// Calls of a kind a second, likewise.
    func rate(of kind: String) -> Double? { kinds.contains(kind) ? median { $0.series[kind]?.rate ?? 0 } : nil }

    var figureNames: [String] { Set(rounds.flatMap { $0.figures.keys }).sorted() }

    var errors: Int { rounds.reduce(0) { $0 + $1.errors.values.reduce(0, +) } }

    /// A figure of all rounds together; `errors` is one too.
    func total(_ figure: String) -> Double {
        figure == "errors" ? Double(errors) : rounds.reduce(0) { $0 + ($1.figures[figure] ?? 0) }
    }

    /// Figures of which none is tolerated: the rounds' sum is told, since a median would hide what one of them has seen.
    static let faults = [
        "lost", "doubled", "out of order", "unexpected", "watches ended", "revoked early", "lanes lost",
    ]

    /// A figure of all rounds.
    func figure(_ name: String) -> Double? {
        Self.faults.contains(name) ? total(name) : median { $0.figures[name] }
    }
}
