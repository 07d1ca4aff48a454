/// Durations as Go writes them: `1h30m`, `5s`, `500ms`.
enum Duration {
    private static let units: [(String, Double)] = [
        ("ms", 0.001), ("us", 0.000_001), ("ns", 0.000_000_001), ("h", 3_600), ("m", 60), ("s", 1),
    ]

    /// The seconds of a duration; nil when it is none.
    static func seconds(of text: String) -> Double? {
        if text == "0" { return 0 }
        var rest = Substring(text)
        var total = 0.0
        guard !rest.isEmpty else { return nil }
        while !rest.isEmpty {
            let number = rest.prefix { $0.isNumber || $0 == "." }
            guard let value = Double(number) else { return nil }
            rest = rest.dropFirst(number.count)
            guard let (name, scale) = units.first(where: { rest.hasPrefix($0.0) }) else { return nil }
            rest = rest.dropFirst(name.count)
            total += value * scale
        }
        return total.isFinite ? total : nil
    }
}
