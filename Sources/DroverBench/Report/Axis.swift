#if canImport(Glibc)
    import Glibc
#elseif canImport(Musl)
    import Musl
#elseif canImport(Darwin)
    import Darwin
#endif

/// Where values lie between the ends of a chart, and at which it is marked.
struct Axis {
    private let low: Double
    private let high: Double
    private let isLog: Bool
    let ticks: [Double]

    init(_ values: [Double], isLog: Bool) {
        self.isLog = isLog
        let most = max(values.max() ?? 1, 1e-6)
        if isLog {
            let least = max(values.filter { $0 > 0 }.min() ?? most, most / 1e9)
            let (first, last) = (
                log10(least).rounded(.down), max(log10(most).rounded(.up), log10(least).rounded(.down) + 1)
            )
            (low, high) = (first, last)
            ticks = stride(from: first, through: last, by: max(1, ((last - first) / 6).rounded(.up))).map {
                pow(10, $0)
            }
        } else {
            let rough = most / 4
            let power = pow(10, log10(rough).rounded(.down))
            let step = [1, 2, 2.5, 5, 10].map { $0 * power }.first { $0 >= rough } ?? rough
            (low, high) = (0, (most / step).rounded(.up) * step)
            ticks = stride(from: 0, through: high + step / 2, by: step).map { $0 }
        }
    }

    /// From 0 to 1.
    func place(_ value: Double) -> Double {
        let value = isLog ? log10(max(value, pow(10, low))) : value
        return high > low ? min(1, max(0, (value - low) / (high - low))) : 0
    }
}
