/// What changed from one report to another, beyond what rounds of the same differ by.
public struct BenchComparison: Sendable {
    /// Whether a change is one, and which way.
    public enum Verdict: String, Sendable {
        /// `same` is within noise.
        case better, worse, same
    }

    /// One figure of both.
    public struct Line: Sendable {
        /// The workload's name.
        public var workload: String
        /// The target's name.
        public var target: String
        /// What is compared, such as `put p99`.
        public var figure: String
        /// The earlier median, in the figure's unit.
        public var before: Double
        /// The later one.
        public var after: Double
        /// What it means.
        public var verdict: Verdict

        /// The later to the earlier.
        public var ratio: Double { before > 0 ? after / before : 0 }
    }

    /// Changes smaller than this are no change, whatever the rounds say.
    public static let least = 0.05

    /// Every figure that both have.
    public let lines: [Line]
    /// What the two runs did not have in common, so that their figures may differ for it.
    public let differences: [String]
    /// What the earlier run measured and the later did not: workloads on targets.
    public let missing: [String]

    /// Whether the later run is worse in anything, or lacks what the earlier one has.
    public var isWorse: Bool {
        lines.isEmpty || !missing.isEmpty || lines.contains { $0.verdict == .worse }
    }

    /// Compares what both have: the same workloads on targets of the same name.
    ///
    /// - Parameter control: a target of both that has not changed between them. Every other's figures are taken as what
    ///   they are to its own of the same round, so that a machine that has become slower since does not decide. Default:
    ///   none, and figures are taken as they are.
    public init(_ before: BenchReport, _ after: BenchReport, control: String? = nil) {
        var lines: [Line] = []
        var missing: [String] = []
        for old in before.measurements {
            guard let new = after.measurement(old.workload, old.target) else {
                if !old.rounds.isEmpty { missing.append("\(old.workload) on \(old.target)") }
                continue
            }
            func line(_ figure: String, _ before: Double, _ after: Double, _ verdict: Verdict) {
                lines.append(
                    Line(
                        workload: old.workload,
                        target: old.target,
                        figure: figure,
                        before: before,
                        after: after,
                        verdict: verdict
                    )
                )
            }
            // Its own figures are what others' are measured by; its faults are told like theirs.
            let isControl = old.target == control
            if control != nil, !isControl, !old.rounds.isEmpty, !new.rounds.isEmpty,
                [before, after].contains(where: { $0.measurement(old.workload, control!)?.rounds.isEmpty ?? true })
            {
                missing.append("what \(old.workload) on \(old.target) is measured by")
            }
            let controls = control.map { (before.measurement(old.workload, $0), after.measurement(old.workload, $0)) }
            func add(
                _ figure: String,
                isMoreBetter: Bool,
                drifts: Bool = true,
                _ value: @escaping (BenchReport.Round) -> Double?
            ) {
                var (a, b) = (old.rounds.compactMap(value), new.rounds.compactMap(value))
                if let controls, drifts {
                    // In the earlier run's unit: as if the control had always made what it made then.
                    guard let usual = controls.0?.median(value), usual > 0 else {
                        if !isControl && !a.isEmpty {
                            missing.append(
                                "\(figure) of \(old.workload) on \(old.target), which \(control!) does not have"
                            )
                        }
                        return
                    }
                    a = Self.relative(old, to: controls.0, value).map { $0 * usual }
                    b = Self.relative(new, to: controls.1, value).map { $0 * usual }
                }
                guard !isControl, let before = BenchReport.median(a), let after = BenchReport.median(b) else { return }
                line(figure, before, after, Self.verdict(a, b, before, after, isMoreBetter: isMoreBetter))
            }
            for kind in old.kinds + new.kinds.filter({ !old.kinds.contains($0) }) {
                // None at all is a rate, too: what one of the runs lacks must not be left out.
                add("\(kind) calls/s", isMoreBetter: kind != OperationKind.conflict.name) {
                    $0.series[kind]?.rate ?? 0
                }
                add("\(kind) p50 (us)", isMoreBetter: false) { $0.series[kind]?.percentile(50) }
                add("\(kind) p99 (us)", isMoreBetter: false) { $0.series[kind]?.percentile(99) }
            }
            add("CPU us/call", isMoreBetter: false) { round in
                round.calls > 0 ? round.processorSeconds.map { $0 * 1e6 / Double(round.calls) } : nil
            }
            // A machine that is slower takes no more memory.
            add("peak MiB", isMoreBetter: false, drifts: false) { $0.peakBytes.map { Double($0) / 1_048_576 } }
            for (figure, isMoreBetter) in Self.compared {
                add(figure, isMoreBetter: isMoreBetter) { $0.figures[figure] }
            }
            // Of these none is tolerated: any that was not there before is worse.
            for figure in ["errors"] + BenchReport.Measurement.faults {
                let (a, b) = (old.total(figure), new.total(figure))
                if a > 0 || b > 0 { line(figure, a, b, b > a ? .worse : b < a ? .better : .same) }
            }
            if new.rounds.count < old.rounds.count, let reason = new.skipped {
                line("rounds measured (\(reason))", Double(old.rounds.count), Double(new.rounds.count), .worse)
            }
        }
        self.lines = lines
        self.missing = missing
        var differences: [String] = []
        if before.format != after.format { differences.append("what their figures mean (versions of the harness)") }
        if before.machine != after.machine { differences.append("the machine") }
        for old in before.targets {
            if let new = after.targets.first(where: { $0.name == old.name }), new.details != old.details {
                differences.append("what \(old.name) is (\(old.details), then \(new.details))")
            }
        }
        let (a, b) = (Mirror(reflecting: before.settings).children, Mirror(reflecting: after.settings).children)
        for (a, b) in zip(a, b) where "\(a.value)" != "\(b.value)" {
            differences.append("the setting \(a.label ?? "")")
        }
        self.differences = differences
    }

    /// Figures of workloads' own, and whether more of it is better.
    private static let compared = [
        ("events/s", true), ("seconds", false), ("p99 before (us)", false), ("p99 during (us)", false),
    ]

    /// What each round of a target has made to what the control has made in its turn of that round.
    private static func relative(
        _ measurement: BenchReport.Measurement,
        to control: BenchReport.Measurement?,
        _ value: (BenchReport.Round) -> Double?
    ) -> [Double] {
        zip(measurement.rounds, control?.rounds ?? []).compactMap { own, other in
            guard let own = value(own), let other = value(other), other > 0 else { return nil }
            return own / other
        }
    }

    /// A change is one when it is larger than ``least`` and the rounds of the two lie apart by more than half of the larger
    /// spread; of single rounds, when it is larger than a fifth. Without that distance, three rounds of each of the same
    /// would fall apart by chance once in ten times.
    private static func verdict(
        _ a: [Double],
        _ b: [Double],
        _ before: Double,
        _ after: Double,
        isMoreBetter: Bool
    ) -> Verdict {
        if before <= 0 { return after <= 0 ? .same : isMoreBetter ? .better : .worse }
        guard abs(after / before - 1) > least else { return .same }
        if a.count < 2 || b.count < 2 {
            if abs(after / before - 1) <= 0.2 { return .same }
        } else {
            let margin = max(a.max()! - a.min()!, b.max()! - b.min()!) / 2
            if a.min()! - margin <= b.max()! && b.min()! - margin <= a.max()! { return .same }
        }
        return (after > before) == isMoreBetter ? .better : .worse
    }

    /// As a table of text: what changed, or all of it.
    public func table(all: Bool = false) -> String {
        let shown = all ? lines : lines.filter { $0.verdict != .same }
        var note = differences.isEmpty ? "" : "\nthe runs differ in \(differences.joined(separator: ", "))"
        if !missing.isEmpty { note += "\nthe later run lacks \(missing.joined(separator: ", "))" }
        if shown.isEmpty {
            return "nothing changed beyond what rounds of the same differ by (\(lines.count) figures)\(note)"
        }
        let rows =
            [["workload", "target", "figure", "before", "after", "ratio", ""]]
            + shown.map { line in
                let digits = line.before < 100 ? 1 : 0
                return [
                    line.workload, line.target, line.figure, Text.number(line.before, digits: digits),
                    Text.number(line.after, digits: digits), Text.number(line.ratio, digits: 2), line.verdict.rawValue,
                ]
            }
        return Text.aligned(rows).joined(separator: "\n")
            + "\n\(lines.filter { $0.verdict == .same }.count) of \(lines.count) figures are the same within noise\(note)"
    }
}
