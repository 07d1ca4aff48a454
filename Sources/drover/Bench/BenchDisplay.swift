import DroverBench
import Synchronization

#if canImport(Glibc)
    import Glibc
#elseif canImport(Musl)
    import Musl
#elseif canImport(Darwin)
    import Darwin
#endif

/// Tells how a run goes: a line that is drawn anew on a terminal, a line for each round elsewhere.
final class BenchDisplay: Sendable {
    /// Whether there is a line to draw: a terminal, and one that can take a line away.
    let isTerminal = isatty(2) == 1 && getenv("TERM").map { String(cString: $0) } != "dumb"
    private let isDrawn = Mutex(false)

    func show(_ progress: BenchRunner.Progress) {
        switch progress {
        case .preparing(let workload, let target):
            draw("\(workload) on \(target): filling the store")
        case .running(
            let workload,
            let target,
            let round,
            let rounds,
            let seconds,
            let total,
            let calls,
            let p50,
            let p99,
            let left
        ):
            let share = total > 0 ? max(0, min(1, 1 - left / total)) : 0
            let rate = seconds > 0.1 ? Int(Double(calls) / seconds) : 0
            let name = "\(workload) on \(target) \(round)/\(rounds)"
            var figures = "\(rate)/s p50 \(Int(p50)) us p99 \(Int(p99)) us"
            guard total > 0 else { return draw("\(name) \(figures)") }
            figures += ", \(Int(left.rounded(.up))) s left"
            // Where there is no room for all, the bar is what is shorter.
            let length = max(0, min(20, Self.columns - name.count - figures.count - 5))
            let full = Int(share * Double(length))
            let bar = String(repeating: "#", count: full) + String(repeating: ".", count: length - full)
            draw("\(name) [\(bar)] \(figures)")
        case .finished(let workload, let target, let round, let rounds, let result):
            let rate = result.seconds > 0 ? Int(Double(result.calls) / result.seconds) : 0
            let errors = result.errors.values.reduce(0, +)
            let speed = rate > 0 ? "\(rate) calls/s" : "done"
            line("\(workload) on \(target) \(round)/\(rounds): \(speed)\(errors > 0 ? ", \(errors) errors" : "")")
        case .skipped(let workload, let target, let reason):
            line("\(workload) on \(target): not measured: \(reason)")
        case .left(let workload, let target, let prefix, let reason):
            line("\(workload) on \(target): its keys below \(prefix) are left there: \(reason)")
        }
    }

    private static var columns: Int {
        var size = winsize()
        return ioctl(2, UInt(TIOCGWINSZ), &size) == 0 && size.ws_col > 1 ? Int(size.ws_col) : 80
    }

    /// Takes the drawn line away.
    func finish() {
        if isDrawn.withLock({ $0 }) { FileHandles.standardError("\r\u{1b}[K") }
    }

    private func draw(_ text: String) {
        guard isTerminal else { return }
        isDrawn.withLock { $0 = true }
        // A line that goes on in the next row would not be drawn over.
        FileHandles.standardError("\r\u{1b}[K\(text.prefix(Self.columns - 1))")
    }

    private func line(_ text: String) {
        FileHandles.standardError(isTerminal ? "\r\u{1b}[K\(text)\n" : "\(text)\n")
    }
}
