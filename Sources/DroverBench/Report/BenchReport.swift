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
        public var calls: Int
        /// A second.
        public var rate: Double
        public var keysPerSecond: Double
        public var bytesPerSecond: Double
        /// Microseconds.
        public var mean: Double
        /// Microseconds by percentile, in the order of ``BenchReport/percentiles``.
        public var percentiles: [Double]
        public var worst: Double
        /// The mean and the worst in microseconds, and the calls, of each sixtieth of the round.
        public var overTime: [Moment]
    }

    public struct Moment: Codable, Sendable {
        public var calls: Int
        public var mean: Double
        public var worst: Double
    }

    public struct Round: Codable, Sendable {
        /// Seconds measured.
        public var seconds: Double
        public var series: [String: Series]
        /// Figures of the workload's own, such as lost events.
        public var figures: [String: Double]
        public var errors: [String: Int]
        /// Of the process that serves, where it is on this machine: processor seconds of the round, and the peak of its
        /// memory in bytes. Of a store in this process the load is in it.
        public var processorSeconds: Double?
        public var peakBytes: Int?
        /// Of the process that makes the load.
        public var loadSeconds: Double

        /// Calls of all kinds; what is told by watches is no call.
        public var calls: Int {
            series.reduce(0) { sum, entry in
                OperationKind.isCall(entry.key) ? sum + entry.value.calls : sum
            }
        }
    }

    public struct Measurement: Codable, Sendable {
        public var workload: String
        public var target: String
        public var rounds: [Round]
        /// Why it was not measured; nil where it was.
        public var skipped: String?
    }

    public struct Target: Codable, Sendable {
        public var name: String
        public var details: String
        public var isInProcess: Bool
    }

    /// Changes when a reader of an older one would misunderstand.
    public var format = 1
    public var date: String
    public var machine: String
    public var settings: BenchSettings
    public var targets: [Target]
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

extension BenchReport.Series {
    init(_ series: LoadRecorder.Series, seconds: Double) {
        calls = Int(series.times.totalCount)
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

extension BenchReport.Measurement {
    /// The kinds of calls, those made most first.
    var kinds: [String] {
        var calls: [String: Int] = [:]
        for round in rounds { for (kind, series) in round.series { calls[kind, default: 0] += series.calls } }
        return calls.keys.sorted { (calls[$0]!, $1) > (calls[$1]!, $0) }
    }

    /// The median over the rounds.
    func median(_ value: (BenchReport.Round) -> Double?) -> Double? {
        let values = rounds.compactMap(value).sorted()
        return values.isEmpty
            ? nil
            : values.count % 2 == 1
                ? values[values.count / 2] : (values[values.count / 2 - 1] + values[values.count / 2]) / 2
    }

    /// Calls of all kinds a second; nil of a workload that makes none.
    var rate: Double? { median(\.rate) }

    var figureNames: [String] { Set(rounds.flatMap { $0.figures.keys }).sorted() }

    var errors: Int { rounds.reduce(0) { $0 + $1.errors.values.reduce(0, +) } }
}
