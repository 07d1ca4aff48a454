import Synchronization

/// Where long chains of events have led to: a page walks its own for its rows, for its count, and with the next page
/// again, and each time on another reader.
///
/// Events at or below a revision never change; those that compaction takes away nobody may ask for any more.
final class ChainMemory: Sendable {
    struct Walk: Hashable, Sendable {
        /// The event that the chain was followed from.
        let from: Int64
        /// The newest that was old enough.
        let downTo: Int64
    }

    /// Events of a chain from which on its end is remembered.
    static let longChain: Int64 = 256

    /// Ends that are remembered; then it begins anew.
    private let most: Int
    private let ends = Mutex<[Walk: Int64]>([:])

    init(most: Int) { self.most = most }

    func end(of walk: Walk) -> Int64? { ends.withLock { $0[walk] } }

    func learn(_ end: Int64, of walk: Walk) {
        ends.withLock { ends in
            if ends.count >= most { ends.removeAll(keepingCapacity: true) }
            ends[walk] = end
        }
    }
}
