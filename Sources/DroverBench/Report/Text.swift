/// Figures in words.
enum Text {
    /// With thousands apart; nothing for nothing.
    static func number(_ value: Double?, digits: Int = 0) -> String {
        guard let value, value.isFinite, abs(value) < 1e15 else { return "" }
        let fixed = fixed(abs(value), digits: digits)
        let parts = fixed.split(separator: ".", maxSplits: 1)
        var whole = Array(parts[0])
        var place = whole.count - 3
        while place > 0 {
            whole.insert(",", at: place)
            place -= 3
        }
        let isNegative = value < 0 && fixed.contains { $0 != "0" && $0 != "." }
        return (isNegative ? "-" : "") + String(whole) + (parts.count > 1 ? ".\(parts[1])" : "")
    }

    /// A number of at least 0 with so many digits behind the point.
    static func fixed(_ value: Double, digits: Int) -> String {
        var scale = 1.0
        for _ in 0..<digits { scale *= 10 }
        let scaled = UInt64((value * scale).rounded())
        if digits == 0 { return "\(scaled)" }
        let rest = String(scaled % UInt64(scale))
        return "\(scaled / UInt64(scale))." + String(repeating: "0", count: digits - rest.count) + rest
    }

    /// A figure of a workload's own: whole ones without a point.
    static func figure(_ value: Double?) -> String {
        number(value, digits: value.map { $0 == $0.rounded() || $0 >= 1_000 ? 0 : 2 } ?? 0)
    }

    /// Microseconds, in the unit that suits.
    static func time(_ microseconds: Double?) -> String {
        guard let microseconds else { return "" }
        if microseconds >= 1_000_000 { return "\(number(microseconds / 1_000_000, digits: 2)) s" }
        if microseconds >= 10_000 { return "\(number(microseconds / 1_000, digits: 0)) ms" }
        if microseconds >= 1_000 { return "\(number(microseconds / 1_000, digits: 1)) ms" }
        return "\(number(microseconds)) us"
    }

    /// How far the rounds lie apart, of their median.
    static func spread(_ values: [Double]) -> String {
        guard values.count > 1, let low = values.min(), let high = values.max(), low + high > 0 else { return "" }
        return "±\(number((high - low) / (high + low) * 100))%"
    }

    /// Columns, the first two to the left and the others to the right.
    static func aligned(_ rows: [[String]]) -> [String] {
        var widths: [Int] = []
        for row in rows {
            for (i, cell) in row.enumerated() {
                if i >= widths.count { widths.append(0) }
                // What is no figure may be as long as it likes.
                if row.count > 3 { widths[i] = max(widths[i], cell.count) }
            }
        }
        return rows.map { row in
            let cells = row.enumerated().map { i, cell in
                let padding = String(repeating: " ", count: max(0, widths[i] - cell.count))
                return i < 2 || row.count <= 3 ? cell + padding : padding + cell
            }
            var line = "  " + cells.joined(separator: "  ")
            while line.last == " " { line.removeLast() }
            return line
        }
    }
}
