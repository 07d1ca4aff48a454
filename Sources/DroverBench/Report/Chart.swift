/// Charts as SVG, drawn with the page's own colours so that they follow light and dark, and told in words for who does
/// not see them.
enum Chart {
    struct Bar {
        var label: String
        var value: Double
        /// The least and the most over the rounds.
        var range: ClosedRange<Double>?
        var text: String
        /// The place of its target, whose colour it has.
        var place: Int
    }

    struct Line {
        var label: String
        var points: [(x: Double, y: Double)]
        /// The place of its target, whose colour it has.
        var place: Int
    }

    static func escape(_ text: String) -> String {
        var result = ""
        for character in text {
            switch character {
            case "&": result += "&amp;"
            case "<": result += "&lt;"
            case ">": result += "&gt;"
            case "\"": result += "&quot;"
            default: result.append(character)
            }
        }
        return result
    }

    private static func f(_ value: Double) -> String { (value < 0 ? "-" : "") + Text.fixed(abs(value), digits: 1) }

    private static func frame(
        _ title: String,
        _ words: String,
        height: Double,
        legend: String = "",
        _ body: String
    ) -> String {
        """
        <figure><figcaption>\(escape(title))</figcaption>\(legend)
        <svg viewBox="0 0 640 \(f(height))" role="img" aria-label="\(escape(title)): \(escape(words))">
        \(body)</svg></figure>

        """
    }

    /// Horizontal bars, one for each target; longer is more.
    static func bars(_ title: String, _ bars: [Bar]) -> String {
        let most = max(bars.map { max($0.value, $0.range?.upperBound ?? 0) }.max() ?? 0, .leastNonzeroMagnitude)
        var body = ""
        for (i, bar) in bars.enumerated() {
            let y = Double(i) * 44
            let width = bar.value / most * 470
            body += "<text x=\"0\" y=\"\(f(y + 13))\">\(escape(bar.label))</text>"
            body +=
                "<rect class=\"c\(bar.place % 6)\" x=\"0\" y=\"\(f(y + 19))\" width=\"\(f(max(1, width)))\" height=\"18\" rx=\"2\"/>"
            if let range = bar.range, range.upperBound > range.lowerBound {
                let (low, high) = (range.lowerBound / most * 470, range.upperBound / most * 470)
                body +=
                    "<path class=\"whisker\" d=\"M\(f(low)) \(f(y + 28))H\(f(high))M\(f(low)) \(f(y + 24))v8M\(f(high)) \(f(y + 24))v8\"/>"
            }
            let end = max(width, (bar.range?.upperBound ?? 0) / most * 470)
            body += "<text class=\"value\" x=\"\(f(end + 8))\" y=\"\(f(y + 33))\">\(escape(bar.text))</text>\n"
        }
        let words = bars.map { "\($0.label) \($0.text)" }.joined(separator: ", ")
        return frame(title, words, height: Double(bars.count) * 44 + 4, body)
    }

    /// Lines over a plane whose axes may be logarithmic.
    static func lines(
        _ title: String,
        _ lines: [Line],
        x: (name: String, isLog: Bool, text: (Double) -> String),
        y: (name: String, isLog: Bool, text: (Double) -> String),
        words: String
    ) -> String {
        let points = lines.flatMap(\.points)
        guard !points.isEmpty else { return "" }
        let (left, right, top, bottom) = (74.0, 606.0, 26.0, 250.0)
        let xs = Axis(points.map(\.x), isLog: x.isLog)
        let ys = Axis(points.map(\.y), isLog: y.isLog)
        func px(_ value: Double) -> Double { left + xs.place(value) * (right - left) }
        func py(_ value: Double) -> Double { bottom - ys.place(value) * (bottom - top) }
        var body = ""
        for tick in ys.ticks {
            body += "<path class=\"grid\" d=\"M\(f(left)) \(f(py(tick)))H\(f(right))\"/>"
            body +=
                "<text class=\"tick end\" x=\"\(f(left - 6))\" y=\"\(f(py(tick) + 4))\">\(escape(y.text(tick)))</text>"
        }
        for tick in xs.ticks {
            body += "<path class=\"grid\" d=\"M\(f(px(tick))) \(f(top))V\(f(bottom))\"/>"
            body +=
                "<text class=\"tick middle\" x=\"\(f(px(tick)))\" y=\"\(f(bottom + 16))\">\(escape(x.text(tick)))</text>"
        }
        body += "<text class=\"axis\" x=\"\(f(right))\" y=\"\(f(bottom + 38))\">\(escape(x.name))</text>"
        body += "<text class=\"tick\" x=\"0\" y=\"12\">\(escape(y.name))</text>\n"
        for line in lines where !line.points.isEmpty {
            let path = line.points.enumerated().map { place, point in
                "\(place == 0 ? "M" : "L")\(f(px(point.x))) \(f(py(point.y)))"
            }.joined()
            body += "<path class=\"line l\(line.place % 6)\" d=\"\(path)\"/>\n"
        }
        return frame(title, words, height: 294, legend: legend(lines), body)
    }

    private static func legend(_ lines: [Line]) -> String {
        let items = lines.map { "<span><i class=\"k\($0.place % 6)\"></i>\(escape($0.label))</span>" }
        return "<p class=\"legend\" aria-hidden=\"true\">\(items.joined())</p>\n"
    }
}
