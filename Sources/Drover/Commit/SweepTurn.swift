/// Which of the instances on one database sweeps: the one with the lowest id of those that live, so that two do not read and
/// delete the same rows at once. Nobody is told, and nothing is written for it: every instance sees the others' heartbeats.
///
/// One that lives and does not sweep (a snapshot holds it up, or it may not delete) is not waited for: after ``patience``
/// without progress the next sweeps, too, until the sweep is over.
struct SweepTurn {
    /// How long a sweep may stand still before the next instance takes over, in nanoseconds. The one that sweeps waits for
    /// watches for ten seconds at most and says how far it is every five.
    static let patience: Int64 = 15_000_000_000

    private let own: UInt64
    private var swept: Int64 = 0
    private var since: Int64 = 0
    private var hasTakenOver = false
    /// The mark for which a step was last asked for, and when; 0 while another instance sweeps.
    private var asked: (mark: Int64, at: Int64) = (0, 0)

    /// What a look at the database means.
    struct Decision: Equatable {
        /// Whether this instance is to sweep what any has compacted.
        var isOurs: Bool
        /// Whether it is to begin now.
        var begins: Bool
    }

    init(own: UInt64) { self.own = own }

    /// Decides from what a look at the database shows.
    ///
    /// - Parameter living: the instances that are listed.
    mutating func decide(_ meta: StoreMeta, living: [InstanceRecord], now: Int64) -> Decision {
        let isOver = meta.swept >= meta.compacted
        if isOver || meta.swept != swept || since == 0 { (swept, since) = (meta.swept, now) }
        // One after the other: the third waits until the second has had its time, too.
        let rank = living.reduce(Int64(0)) { $1.id < own ? $0 + 1 : $0 }
        if isOver || rank == 0 {
            hasTakenOver = false
        } else if now - since > Self.patience * rank {
            hasTakenOver = true
        }
        let isOurs = rank == 0 || hasTakenOver
        if isOver || !isOurs {
            asked = (0, 0)
            return Decision(isOurs: isOurs, begins: false)
        }
        // A step that fails for good is tried again with the next mark, or after a while.
        let begins = asked.mark != meta.compacted || now - max(asked.at, since) > Self.patience
        if begins { asked = (meta.compacted, now) }
        return Decision(isOurs: true, begins: begins)
    }
}
