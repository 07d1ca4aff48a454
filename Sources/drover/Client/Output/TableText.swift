/// The form `table`: cells to the right, titles in the middle.
enum TableText {
    static func table(_ titles: [String], _ rows: [[String]]) -> String {
        let widths = titles.indices.map { column in
            ([titles] + rows).map { $0[column].unicodeScalars.count }.max()!
        }
        func spaces(_ count: Int) -> String { String(repeating: " ", count: count) }
        func line(_ cells: [String]) -> String { "| " + cells.joined(separator: " | ") + " |\n" }
        let rule = "+" + widths.map { String(repeating: "-", count: $0 + 2) }.joined(separator: "+") + "+\n"
        let head = zip(titles, widths).map { title, width in
            let gap = width - title.unicodeScalars.count
            return spaces(gap / 2) + title.uppercased() + spaces(gap - gap / 2)
        }
        let body = rows.map { row in
            line(zip(row, widths).map { spaces($1 - $0.unicodeScalars.count) + $0 })
        }
        return rule + line(head) + rule + body.joined() + (rows.isEmpty ? "" : rule)
    }
}
