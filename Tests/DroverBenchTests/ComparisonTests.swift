import Testing

@testable import DroverBench

@Suite("two runs are compared", .timeLimit(.minutes(1)))
struct ComparisonTests {
    private func report(
        rates: [Double],
        errors: Int = 0,
        figures: [String: Double] = [:],
        change: (inout BenchSettings) -> Void = { _ in }
    ) -> BenchReport {
        var settings = BenchSettings()
        change(&settings)
        var report = BenchReport(
            date: "",
            machine: "m",
            settings: settings,
            targets: [.init(name: "t", details: "unknown", isInProcess: true)]
        )
        let rounds = rates.map { rate in
            let series = BenchReport.Series(
                calls: Int(rate),
                rate: rate,
                keysPerSecond: 0,
                bytesPerSecond: 0,
                mean: 0,
                percentiles: BenchReport.percentiles.map { _ in 100 },
                worst: 100,
                overTime: []
            )
            return BenchReport.Round(
                seconds: 1,
                series: ["put": series],
                figures: figures,
                errors: errors > 0 ? ["refused": errors] : [:],
                processorSeconds: nil,
                peakBytes: nil,
                loadSeconds: 0
            )
        }
        report.measurements = [.init(workload: "put", target: "t", rounds: rounds, skipped: nil)]
        return report
    }

    private func verdict(_ before: [Double], _ after: [Double]) -> BenchComparison.Verdict? {
        BenchComparison(report(rates: before), report(rates: after)).lines.first { $0.figure == "put calls/s" }?.verdict
    }

    @Test("rounds that hardly differ are the same, those far apart are not")
    func noise() {
        #expect(verdict([100, 110, 120], [121, 122, 130]) == .same)
        #expect(verdict([100, 110, 120], [150, 160, 170]) == .better)
        #expect(verdict([100, 101, 102], [80, 81, 82]) == .worse)
        #expect(verdict([100, 101, 102], [103, 104, 105]) == .same)
        #expect(verdict([100], [110]) == .same)
        #expect(verdict([100], [130]) == .better)
    }

    /// A report of two targets, a fast one and a control.
    private func report(rates: [Double], control: [Double]) -> BenchReport {
        var both = report(rates: rates)
        both.targets.append(.init(name: "etcd", details: "etcd 3.7.1", isInProcess: false))
        var other = report(rates: control).measurements[0]
        other.target = "etcd"
        both.measurements.append(other)
        return both
    }

    @Test("beside a control, a machine that has become slower is no change, and a program that has is one")
    func drift() {
        let before = report(rates: [300, 310, 290], control: [100, 105, 98])
        let slower = report(rates: [150, 155, 146], control: [50, 52, 49])
        let plain = BenchComparison(before, slower).lines.filter { $0.figure == "put calls/s" }
        #expect(plain.map(\.verdict) == [.worse, .worse])
        let controlled = BenchComparison(before, slower, control: "etcd")
        let lines = controlled.lines.filter { $0.figure == "put calls/s" }
        #expect(lines.map(\.target) == ["t"] && lines.map(\.verdict) == [.same])
        #expect(!controlled.isWorse)
        let worse = report(rates: [150, 155, 146], control: [100, 104, 99])
        let line = BenchComparison(before, worse, control: "etcd").lines.first { $0.figure == "put calls/s" }
        #expect(line?.verdict == .worse)
        #expect(line.map { abs($0.ratio - 0.5) < 0.02 } == true)
        // A control that was not measured measures nothing, and its own faults are told.
        var lacking = slower
        lacking.measurements[1].rounds = []
        let blind = BenchComparison(before, lacking, control: "etcd")
        #expect(blind.isWorse && blind.missing == ["what put on t is measured by"])
        var faulty = slower
        faulty.measurements[1].rounds[0].errors = ["refused": 5]
        let told = BenchComparison(before, faulty, control: "etcd").lines.filter { $0.verdict == .worse }
        #expect(told.map(\.target) == ["etcd"] && told.map(\.figure) == ["errors"])
    }

    @Test("errors and lost events are worse, whatever the speed")
    func faults() {
        let good = report(rates: [100, 100])
        let bad = BenchComparison(good, report(rates: [200, 200], errors: 3, figures: ["lost": 1]))
        let worse = bad.lines.filter { $0.verdict == .worse }.map(\.figure)
        #expect(worse == ["errors", "lost"])
        #expect(bad.lines.first { $0.figure == "errors" }?.after == 6)
        #expect(BenchComparison(good, good).lines.allSatisfy { $0.verdict == .same })
    }

    @Test("what the runs did not have in common is said")
    func settings() {
        let other = report(rates: [1]) { $0.keys = 5 }
        let comparison = BenchComparison(report(rates: [1]), other)
        #expect(comparison.differences == ["the setting keys"])
        #expect(comparison.table().contains("the setting keys"))
    }

    @Test("that a target is another program than before is said")
    func targets() {
        var other = report(rates: [1])
        other.targets[0].details = "etcd 3.7.1"
        #expect(BenchComparison(report(rates: [1]), other).differences == ["what t is (unknown, then etcd 3.7.1)"])
    }

    @Test("what the later run lacks makes it worse, and nothing in common is no good sign")
    func missing() {
        var other = report(rates: [100])
        #expect(!BenchComparison(other, other).isWorse)
        other.measurements[0].target = "elsewhere"
        let comparison = BenchComparison(report(rates: [100]), other)
        #expect(comparison.isWorse && comparison.missing == ["put on t"])
        #expect(comparison.table().contains("the later run lacks put on t"))
    }

    @Test("lost events of one round among several are told")
    func sums() {
        var lossy = report(rates: [100, 100, 100])
        for (round, lost) in [0.0, 57, 0].enumerated() { lossy.measurements[0].rounds[round].figures["lost"] = lost }
        #expect(lossy.table.contains("lost 57"), "\(lossy.table)")
        #expect(lossy.html.contains("<td class=\"n\">57</td>"))
    }
}
