/// How fast calls are made.
enum Pace: Sendable {
    /// Each lane makes a call when the one before was answered.
    case closed
    /// So many calls a second of all lanes together, whether or not earlier ones were answered in time: a call's time
    /// counts from when it should have been made, so that a server that stops is not spared the calls that wait for it
    /// ("coordinated omission").
    case open(callsPerSecond: Double)
}

/// The moments at which one lane of an open loop makes its calls.
struct Schedule: Sendable {
    private let interval: UInt64
    private let start: UInt64
    private var made: UInt64 = 0

    /// - Parameters:
    ///   - lane: its number, of `lanes`; they take turns.
    ///   - start: nanoseconds of the clock.
    init(callsPerSecond: Double, lane: Int, lanes: Int, start: UInt64) {
        interval = max(1, UInt64(1e9 * Double(lanes) / callsPerSecond))
        self.start = start + UInt64(1e9 * Double(lane) / callsPerSecond)
    }

    /// When the next call is due.
    mutating func next() -> UInt64 {
        defer { made += 1 }
        return start + made * interval
    }

    /// Calls that are due before that moment and were not asked for.
    func left(until end: UInt64) -> Int {
        let due = start + made * interval
        return due < end ? Int((end - due - 1) / interval) + 1 : 0
    }
}
