extension BenchReport {
    /// The figures as a table of text, the first target's beside each other's.
    public var table: String {
        var lines: [String] = []
        for workload in workloads {
            lines.append("")
            lines.append(workload)
            var rows: [[String]] = [
                [
                    "", "target", "calls/s", "spread", "p50", "p99", "p99.9", "worst", "errors", "CPU us/call",
                    "peak MiB", "load CPU", "load MiB",
                ]
            ]
            for target in targets {
                guard let measurement = measurement(workload, target.name) else { continue }
                if let reason = measurement.skipped {
                    let part = measurement.rounds.isEmpty ? "" : " after \(measurement.rounds.count) rounds"
                    rows.append(["", target.name, "not measured\(part): \(reason)"])
                    if measurement.rounds.isEmpty { continue }
                }
                let rates = measurement.rounds.map { $0.rate ?? 0 }
                let cpu = measurement.median { round in
                    round.calls > 0 ? round.processorSeconds.map { $0 * 1e6 / Double(round.calls) } : nil
                }
                rows.append([
                    "all", target.name, Text.number(measurement.rate), Text.spread(rates), "", "", "", "",
                    "\(measurement.errors)", Text.number(cpu, digits: 1),
                    Text.number(measurement.median { $0.peakBytes.map { Double($0) / 1_048_576 } }),
                    // The process is one: what it takes holds the load's own.
                    target.isInProcess
                        ? "included"
                        : Text.number(
                            measurement.median { $0.calls > 0 ? $0.loadSeconds * 1e6 / Double($0.calls) : nil },
                            digits: 1
                        ),
                    target.isInProcess
                        ? "included"
                        : Text.number(measurement.median { $0.loadPeakBytes.map { Double($0) / 1_048_576 } }),
                ])
                for kind in measurement.kinds {
                    func median(_ value: @escaping (Series) -> Double) -> String {
                        Text.time(measurement.median { $0.series[kind].map(value) })
                    }
                    rows.append([
                        kind, target.name, Text.number(measurement.rate(of: kind)),
                        Text.spread(measurement.rounds.map { $0.series[kind]?.rate ?? 0 }),
                        median { $0.percentile(50) }, median { $0.percentile(99) }, median { $0.percentile(99.9) },
                        Text.time(measurement.largest { $0.series[kind]?.worst }),
                    ])
                }
            }
            lines += Text.aligned(rows)
            for target in targets {
                guard let measurement = measurement(workload, target.name) else { continue }
                let figures = measurement.figureNames.map { name in
                    "\(name) \(Text.figure(measurement.figure(name)))"
                }
                if !figures.isEmpty { lines.append("  \(target.name): \(figures.joined(separator: ", "))") }
                for (text, count) in measurement.errorTexts.prefix(5) {
                    lines.append("  \(target.name): \(count) times: \(text)")
                }
            }
            lines += ratios(workload).map { "  \($0)" }
        }
        return lines.joined(separator: "\n")
    }

    /// The workloads that were measured, in order.
    var workloads: [String] {
        var seen: Set<String> = []
        return measurements.map(\.workload).filter { seen.insert($0).inserted }
    }

    /// What the first target's rate is to each other's.
    func ratios(_ workload: String) -> [String] {
        guard let first = targets.first, let own = measurement(workload, first.name)?.rate, own > 0 else { return [] }
        return targets.dropFirst().compactMap { other in
            guard let rate = measurement(workload, other.name)?.rate, rate > 0 else { return nil }
            return "\(first.name) makes \(Text.number(own / rate, digits: 2)) times the calls of \(other.name)"
        }
    }
}

extension BenchReport.Measurement {
    /// Errors by text, the most frequent first.
    var errorTexts: [(String, Int)] {
        var total: [String: Int] = [:]
        for round in rounds { total.merge(round.errors) { $0 + $1 } }
        return total.sorted { ($0.value, $1.key) > ($1.value, $0.key) }.map { ($0.key, $0.value) }
    }
}
