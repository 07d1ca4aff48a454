#if canImport(FoundationEssentials)
    import FoundationEssentials
#else
    import Foundation
#endif

extension BenchReport {
    /// Writes the report as one page that needs nothing else.
    ///
    /// - Throws: what writing a file throws.
    public func writeHTML(to path: String) throws {
        try Data(html.utf8).write(to: URL(fileURLWithPath: path))
    }

    /// The report as one page: charts and tables of every workload, all targets beside each other.
    public var html: String {
        let title = "Comparison of \(targets.map(\.name).joined(separator: ", "))"
        var page = """
            <!DOCTYPE html>
            <html lang="en"><head><meta charset="utf-8">
            <meta name="viewport" content="width=device-width, initial-scale=1">
            <meta name="color-scheme" content="light dark">
            <title>\(Chart.escape(title))</title>
            <style>\(Self.style)</style></head><body>
            <header><h1>\(Chart.escape(title))</h1>
            <p>\(Chart.escape(date)), \(Chart.escape(machine)). \(Chart.escape(conditions))</p></header>
            <main>

            """
        page += targetsSection
        if workloads.count > 1 { page += overview }
        for workload in workloads { page += section(workload) }
        page += """
            </main>
            <footer><p>Made by drover bench. Targets took turns, round by round; a figure is the median of the rounds, and the thin line
            across a bar goes from the lowest round to the highest.</p></footer>
            </body></html>

            """
        return page
    }

    private var conditions: String {
        let pace =
            settings.rate > 0
            ? "\(Text.number(settings.rate)) calls a second, whether or not earlier ones were answered"
            : "each lane waits for its answer"
        return "\(settings.connections) connections with \(settings.streams) calls at a time; \(pace); "
            + "\(settings.rounds) rounds of \(Text.number(settings.seconds, digits: 1)) s, each after "
            + "\(Text.number(settings.warmUpSeconds, digits: 1)) s that do not count; "
            + "\(Text.number(Double(settings.keys))) \(settings.keyOrder) keys of \(settings.keySize) bytes, "
            + "values of \(settings.valueSize); \(settings.nodes) nodes, \(settings.watchers) watches, \(settings.leases) leases, "
            + "a history of \(settings.history) where a workload has them."
    }

    private var targetsSection: String {
        var rows = ""
        for (i, target) in targets.enumerated() {
            let place = target.isInProcess ? "in the process of the load" : "over the wire"
            rows +=
                "<tr><th scope=\"row\"><i class=\"k\(i % 6)\"></i>\(Chart.escape(target.name))</th><td>\(Chart.escape(target.details))</td><td>\(place)</td></tr>\n"
        }
        return
            "<section><h2>Targets</h2><div class=\"wide\"><table><thead><tr><th scope=\"col\">name</th><th scope=\"col\">what it is</th><th scope=\"col\">reached</th></tr></thead><tbody>\n\(rows)</tbody></table></div></section>\n"
    }

    /// Every workload's rate, of all targets.
    private var overview: String {
        var rows = ""
        for workload in workloads {
            rows += "<tr><th scope=\"row\"><a href=\"#\(Chart.escape(workload))\">\(Chart.escape(workload))</a></th>"
            for target in targets {
                let measurement = measurement(workload, target.name)
                let isMeasured = measurement?.rounds.isEmpty == false
                let text = isMeasured ? Text.number(measurement?.rate) : "not measured"
                rows += "<td class=\"n\">\(text)</td>"
            }
            rows += "</tr>\n"
        }
        let heads = targets.map { "<th scope=\"col\" class=\"n\">\(Chart.escape($0.name))</th>" }.joined()
        return
            "<section><h2>Calls a second</h2><div class=\"wide\"><table><thead><tr><th scope=\"col\">workload</th>\(heads)</tr></thead><tbody>\n\(rows)</tbody></table></div></section>\n"
    }

    // MARK: - One workload

    private func section(_ workload: String) -> String {
        let all = targets.compactMap { target in measurement(workload, target.name).map { (target, $0) } }
        let measured = all.filter { !$0.1.rounds.isEmpty }
        var text = "<section id=\"\(Chart.escape(workload))\"><h2>\(Chart.escape(workload))</h2>\n"
        if let summary = WorkloadCatalog.entry(workload)?.summary { text += "<p>\(Chart.escape(summary)).</p>\n" }
        for (target, measurement) in all {
            if let reason = measurement.skipped {
                text +=
                    "<p class=\"note\">\(Chart.escape(target.name)) was not measured\(measurement.rounds.isEmpty ? "" : " to the end"): \(Chart.escape(reason)).</p>\n"
            }
        }
        let ratios = ratios(workload)
        if !ratios.isEmpty {
            text += "<ul class=\"ratios\">\(ratios.map { "<li>\(Chart.escape($0))</li>" }.joined())</ul>\n"
        }
        text += "<div class=\"charts\">"
        text += bars("Calls a second", measured, digits: 0) { $0.rate ?? 0 }
        if measured.contains(where: { $0.1.figureNames.contains("events/s") }) {
            text += bars("Events a second, all watches together", measured, digits: 0) { $0.figures["events/s"] }
        }
        for kind in charted(measured) { text += charts(kind, measured) }
        text += bars("Processor time a call (us)", measured, digits: 1) { round in
            round.calls > 0 ? round.processorSeconds.map { $0 * 1e6 / Double(round.calls) } : nil
        }
        text += bars("Peak memory (MiB)", measured, digits: 0) { $0.peakBytes.map { Double($0) / 1_048_576 } }
        let wired = measured.filter { !$0.0.isInProcess }
        text += bars("Processor time of the load a call (us)", wired, digits: 1) { round in
            round.calls > 0 ? round.loadSeconds * 1e6 / Double(round.calls) : nil
        }
        text += "</div>\n"
        for (target, _) in measured where target.isInProcess {
            text +=
                "<p class=\"note\">Processor time and memory of \(Chart.escape(target.name)) hold the load's own: both are one process\(target.isOnServer == true ? "; the database server's are not in them" : "").</p>\n"
        }
        text += table(measured) + figures(measured) + errors(measured)
        return text + "</section>\n"
    }

    /// The kinds whose times are drawn: the most frequent, and what watches wait for.
    private func charted(_ measured: [(Target, Measurement)]) -> [String] {
        // Of all targets together: the first may be one that failed early.
        var calls: [String: Double] = [:]
        for (_, measurement) in measured {
            for kind in measurement.kinds {
                calls[kind, default: 0] += measurement.rate(of: kind) ?? 0
            }
        }
        let kinds = calls.keys.sorted { (calls[$1]!, $0) < (calls[$0]!, $1) }
        // Who unlocks waits for nobody.
        let main = kinds.first { OperationKind.isCall($0) && $0 != OperationKind.unlock.name }
        return kinds.filter { $0 == main || $0 == OperationKind.delivery.name }
    }

    /// Whose colour is the same in all charts, whichever targets were not measured.
    private func place(of target: String) -> Int { targets.firstIndex { $0.name == target } ?? 0 }

    private func bars(
        _ title: String,
        _ measured: [(Target, Measurement)],
        digits: Int,
        _ value: (Round) -> Double?
    ) -> String {
        let bars = measured.compactMap { target, measurement -> Chart.Bar? in
            guard let median = measurement.median(value) else { return nil }
            let values = measurement.rounds.compactMap(value)
            return Chart.Bar(
                label: target.name,
                value: median,
                range: values.min()!...values.max()!,
                text: Text.number(median, digits: digits),
                place: place(of: target.name)
            )
        }
        return bars.isEmpty || bars.allSatisfy { $0.value == 0 } ? "" : Chart.bars(title, bars)
    }

    private func charts(_ kind: String, _ measured: [(Target, Measurement)]) -> String {
        func medians(_ measurement: Measurement) -> [Double]? {
            guard measurement.kinds.contains(kind) else { return nil }
            return Self.percentiles.indices.map { i in
                measurement.median { $0.series[kind]?.percentiles[i] } ?? 0
            }
        }
        let known = measured.compactMap { target, measurement in medians(measurement).map { (target.name, $0) } }
        if known.isEmpty { return "" }
        let words = known.map { name, times in
            "\(name) median \(Text.time(times[Self.place(50)])), p99 \(Text.time(times[Self.place(99)]))"
        }.joined(separator: "; ")
        // How much is within a time; and the tail, whose percentiles are drawn by their nines.
        let shares = known.map { name, times in
            Chart.Line(
                label: name,
                points: zip(times, Self.percentiles).map { ($0, $1) },
                place: place(of: name)
            )
        }
        let tail = known.map { name, times in
            Chart.Line(
                label: name,
                points: zip(Self.percentiles, times).filter { $0.0 >= 50 && $0.0 < 100 }.map {
                    (100 / (100 - $0.0), $0.1)
                },
                place: place(of: name)
            )
        }
        var text = Chart.lines(
            "Time of a \(kind): the share that is answered within it",
            shares,
            x: ("time", true, { Text.time($0) }),
            y: ("%", false, { Text.number($0) }),
            words: words
        )
        text += Chart.lines(
            "Time of a \(kind) by percentile",
            tail,
            x: ("percentile", true, { Text.number(100 - 100 / $0, digits: $0 >= 1_000 ? 2 : $0 > 10 ? 1 : 0) }),
            y: ("time", true, { Text.time($0) }),
            words: words
        )
        let overTime = measured.compactMap { target, measurement -> Chart.Line? in
            guard let round = measurement.rounds.last, let series = round.series[kind] else { return nil }
            let step = round.seconds / Double(max(1, series.overTime.count))
            let points = series.overTime.enumerated().filter { $0.element.calls > 0 }.map {
                (Double($0.offset) * step, $0.element.worst)
            }
            return Chart.Line(label: target.name, points: points, place: place(of: target.name))
        }
        let worst = overTime.compactMap { line in
            line.points.max { $0.y < $1.y }.map {
                "\(line.label) \(Text.time($0.y)) after \(Text.number($0.x, digits: 1)) s"
            }
        }.joined(separator: "; ")
        text += Chart.lines(
            "The worst \(kind) over the time of the last round",
            overTime,
            x: ("seconds", false, { Text.number($0, digits: $0 < 10 ? 1 : 0) }),
            y: ("time", true, { Text.time($0) }),
            words: worst
        )
        return text
    }

    private func table(_ measured: [(Target, Measurement)]) -> String {
        var rows = ""
        for (target, measurement) in measured {
            for kind in measurement.kinds {
                func time(_ value: @escaping (Series) -> Double) -> String {
                    "<td class=\"n\">\(Text.time(measurement.median { $0.series[kind].map(value) }))</td>"
                }
                let rates = measurement.rounds.map { $0.series[kind]?.rate ?? 0 }
                rows += "<tr><th scope=\"row\">\(Chart.escape(kind))</th><td>\(Chart.escape(target.name))</td>"
                rows += "<td class=\"n\">\(Text.number(measurement.rate(of: kind)))</td>"
                rows += "<td class=\"n\">\(Text.spread(rates))</td>"
                rows += time { $0.percentile(50) } + time { $0.percentile(90) } + time { $0.percentile(99) }
                rows += time { $0.percentile(99.9) }
                rows += "<td class=\"n\">\(Text.time(measurement.largest { $0.series[kind]?.worst }))</td>"
                let keys = measurement.median { $0.series[kind]?.keysPerSecond } ?? 0
                rows += "<td class=\"n\">\(keys > 0 ? Text.number(keys) : "")</td></tr>\n"
            }
        }
        let heads = ["calls/s", "spread", "p50", "p90", "p99", "p99.9", "worst", "keys/s"].map {
            "<th scope=\"col\" class=\"n\">\($0)</th>"
        }.joined()
        return
            "<div class=\"wide\"><table><thead><tr><th scope=\"col\">call</th><th scope=\"col\">target</th>\(heads)</tr></thead><tbody>\n\(rows)</tbody></table></div>\n"
    }

    private func figures(_ measured: [(Target, Measurement)]) -> String {
        let names = Set(measured.flatMap { $0.1.figureNames }).sorted()
        if names.isEmpty { return "" }
        var rows = ""
        for name in names {
            rows += "<tr><th scope=\"row\">\(Chart.escape(name))</th>"
            for (_, measurement) in measured {
                rows += "<td class=\"n\">\(Text.figure(measurement.figure(name)))</td>"
            }
            rows += "</tr>\n"
        }
        let heads = measured.map { "<th scope=\"col\" class=\"n\">\(Chart.escape($0.0.name))</th>" }.joined()
        return
            "<div class=\"wide\"><table><thead><tr><th scope=\"col\">figure</th>\(heads)</tr></thead><tbody>\n\(rows)</tbody></table></div>\n"
    }

    private func errors(_ measured: [(Target, Measurement)]) -> String {
        measured.flatMap { target, measurement in
            measurement.errorTexts.map { text, count in
                "<p class=\"note\">\(Chart.escape(target.name)): \(count) calls failed: \(Chart.escape(text))</p>\n"
            }
        }.joined()
    }

    private static let style = """
        :root{--ground:#fff;--ink:#1a1c20;--soft:#5c6370;--rule:#d9dce1;--k0:#2563c9;--k1:#d9730d;--k2:#0f8a6d;--k3:#b3387f;--k4:#6b5bd2;--k5:#7a6a00}
        @media(prefers-color-scheme:dark){:root{--ground:#15171b;--ink:#eceef1;--soft:#a0a7b4;--rule:#343942;--k0:#6ea8ff;--k1:#ff9f4d;--k2:#4fd1b0;--k3:#f07dbd;--k4:#a99bff;--k5:#d8c84a}}
        *{box-sizing:border-box}body{margin:0 auto;max-width:72rem;padding:1rem;background:var(--ground);color:var(--ink);font:1rem/1.5 system-ui,sans-serif}
        h1{font-size:1.5rem;line-height:1.2;margin:.5rem 0}h2{font-size:1.2rem;margin:2rem 0 .25rem;border-top:1px solid var(--rule);padding-top:1rem}
        p{margin:.25rem 0}header p,footer,figcaption,.note{color:var(--soft)}a{color:inherit}
        .charts{display:grid;grid-template-columns:repeat(auto-fit,minmax(min(100%,28rem),1fr));gap:1rem 2rem;margin:1rem 0}
        figure{margin:0;break-inside:avoid}figcaption{font-size:.9rem;margin-bottom:.25rem}svg{width:100%;height:auto;display:block}
        svg text{fill:var(--ink);font:13px system-ui,sans-serif}svg .tick,svg .axis{fill:var(--soft);font-size:12px}.end,.axis{text-anchor:end}.middle{text-anchor:middle}
        .grid{stroke:var(--rule);stroke-width:1}.line{fill:none;stroke-width:2.2}.whisker{stroke:var(--ink);fill:none;stroke-width:1.2;opacity:.7}
        .c0{fill:var(--k0)}.c1{fill:var(--k1)}.c2{fill:var(--k2)}.c3{fill:var(--k3)}.c4{fill:var(--k4)}.c5{fill:var(--k5)}
        .l0{stroke:var(--k0)}.l1{stroke:var(--k1);stroke-dasharray:7 3}.l2{stroke:var(--k2);stroke-dasharray:2 3}.l3{stroke:var(--k3);stroke-dasharray:9 3 2 3}.l4{stroke:var(--k4);stroke-dasharray:4 4}.l5{stroke:var(--k5);stroke-dasharray:12 4}
        i{display:inline-block;width:.8em;height:.8em;margin-right:.4em;border-radius:2px}.k0{background:var(--k0)}.k1{background:var(--k1)}.k2{background:var(--k2)}.k3{background:var(--k3)}.k4{background:var(--k4)}.k5{background:var(--k5)}
        .legend{font-size:.85rem;color:var(--soft);margin:0 0 .25rem}.legend span{margin-right:1rem}
        .wide{overflow-x:auto}table{border-collapse:collapse;font-size:.9rem;margin:.75rem 0;font-variant-numeric:tabular-nums}th,td{padding:.25rem .75rem .25rem 0;text-align:left;border-bottom:1px solid var(--rule);font-weight:400;white-space:nowrap}thead th{color:var(--soft)}.n{text-align:right}
        .ratios{font-size:1.1rem;padding-left:1.2rem;margin:.5rem 0}
        @media(max-width:40rem){svg{overflow:visible}svg text{font-size:22px}svg .tick,svg .axis{font-size:20px}}
        @media print{:root{--ground:#fff;--ink:#000;--soft:#444;--rule:#bbb;--k0:#2563c9;--k1:#d9730d;--k2:#0f8a6d;--k3:#b3387f;--k4:#6b5bd2;--k5:#7a6a00}body{max-width:none;font-size:10pt}.wide{overflow-x:visible}table{font-size:8pt}th,td{white-space:normal;padding-right:.4rem}section{break-inside:auto}*{-webkit-print-color-adjust:exact;print-color-adjust:exact}}
        """
}
