import Foundation

/// Figures in words.
enum Text {
    /// With thousands apart; nothing for nothing.
    static func number(_ value: Double?, digits: Int = 0) -> String {
        guard let value, value.isFinite else { return "" }
        let rounded = String(format: "%.\(digits)f", locale: Locale(identifier: "en_US_POSIX"), value)
        let parts = rounded.split(separator: ".", maxSplits: 1)
        let isNegative = parts[0].hasPrefix("-")
        var digitsOnly = Array(isNegative ? parts[0].dropFirst() : parts[0])
        var place = digitsOnly.count - 3
        while place > 0 {
            digitsOnly.insert(",", at: place)
            place -= 3
        }
        return (isNegative ? "-" : "") + String(digitsOnly) + (parts.count > 1 ? ".\(parts[1])" : "")
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
