/// How many rows each step of the sweep takes: as many as are done in a short while, since writers wait for a step, but no
/// fewer than they add between two steps, since it would never be over.
struct SweepPace {
    /// Who writes beside the sweep.
    enum Load {
        case nobody
        /// The last batch took so long and wrote so many events.
        case writers(nanoseconds: Int64, events: Int)
    }

    /// What one step is to be.
    struct Step: Equatable {
        var rows: Int
        /// Rows below which the next one does not fall.
        var least: Int
        /// How long it should take at most, in nanoseconds.
        var nanoseconds: Int64
    }

    /// How long a step should take at most, in nanoseconds, with nobody writing. While somebody does it is half as long as
    /// the last batch, so that a put waits half as long again and not for fifteen milliseconds, but no less than about
    /// what a commit costs.
    static let longest: Int64 = 15_000_000
    static let shortest: Int64 = 1_000_000
    /// Rows that every database takes.
    private static let fewest = 16

    private let limit: Int
    /// Rows of the next step, and of the next while somebody writes.
    private var calm, busy: Int
    /// As many rows as the database takes in this sweep.
    private var most: Int
    /// As many as are done within ``longest``: what writers add does not raise a step above it.
    private var quick: Int

    /// - Parameters:
    ///   - rows: the most of a step.
    ///   - calls: the most of a batch, with which the steps beside writers begin.
    init(rows: Int, calls: Int) {
        limit = rows
        (calm, busy) = (min(rows, 256), min(rows, 64))
        most = rows
        quick = min(rows, calls)
    }

    func next(_ load: Load) -> Step {
        switch load {
        case .nobody:
            return Step(
                rows: max(calm, min(most, Self.fewest)),
                least: min(most, Self.fewest),
                nanoseconds: Self.longest
            )
        case .writers(let nanoseconds, let events):
            let least = min(most, quick, max(Self.fewest, events + events / 2))
            return Step(
                rows: max(busy, least),
                least: least,
                nanoseconds: min(Self.longest, max(Self.shortest, nanoseconds / 2))
            )
        }
    }

    /// A step was done.
    ///
    /// - Parameter goesOn: there is more; one that waited, or found the end, says nothing of larger ones.
    mutating func didTake(_ nanoseconds: Int64, _ step: Step, _ load: Load, goesOn: Bool) {
        if nanoseconds > Self.longest {
            quick = max(Self.fewest, step.rows / 2)
        } else if goesOn {
            quick = min(limit, quick * 2)
        }
        var rows = step.rows
        if nanoseconds > step.nanoseconds {
            rows = max(step.least, rows / 2)
        } else if nanoseconds < step.nanoseconds / 2 && goesOn {
            rows = min(most, rows + rows / 4 + 1)
        }
        if case .nobody = load { calm = rows } else { busy = rows }
    }

    /// The database did not take a step of so many rows.
    ///
    /// - Returns: whether a smaller one is worth trying.
    mutating func wasRefused(_ step: Step) -> Bool {
        if step.rows <= Self.fewest { return false }
        most = max(Self.fewest, step.rows / 2)
        (calm, busy) = (min(calm, most), min(busy, most))
        return true
    }

    /// The sweep is over: the next one may take as many rows as any.
    mutating func end() { most = limit }
}
