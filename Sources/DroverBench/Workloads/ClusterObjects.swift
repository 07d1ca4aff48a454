import Synchronization

/// The objects of the cluster that ``KubernetesWorkload`` plays, as the caches of its apiservers know them.
final class ClusterObjects: Sendable {
    private struct Object {
        /// 0 while it is not known.
        var revision: Int64 = 0
        /// Somebody is updating it: a node has one kubelet, and a pod one.
        var isTaken = false
    }

    /// One that was created here and may be deleted.
    struct Created: Sendable {
        var kind: Int
        var key: [UInt8]
        var revision: Int64
    }

    private let objects: Mutex<[[Object]]>
    private let own = Mutex<[Created]>([])
    private let created = Atomic<Int>(0)
    private let counts: [Int]
    private let round: Int

    /// - Parameters:
    ///   - counts: of objects, by kind.
    ///   - round: whose creations have names of their own.
    init(counts: [Int], round: Int) {
        self.counts = counts
        self.round = round
        objects = Mutex(counts.map { Array(repeating: Object(), count: $0) })
    }

    /// One that nobody else updates, until it is given back; nil when a few looks find none.
    func take(_ kind: Int, _ random: inout FastRandom) -> (number: Int, revision: Int64)? {
        for _ in 0..<8 {
            let number = random.next(below: counts[kind])
            let revision = objects.withLock { objects -> Int64? in
                if objects[kind][number].isTaken { return nil }
                objects[kind][number].isTaken = true
                return objects[kind][number].revision
            }
            if let revision { return (number, revision) }
        }
        return nil
    }

    /// - Parameter revision: when it was last changed; nil when that is not known.
    func giveBack(_ kind: Int, _ number: Int, revision: Int64?) {
        objects.withLock {
            $0[kind][number].revision = revision ?? 0
            $0[kind][number].isTaken = false
        }
    }

    /// What a list of all has shown.
    func learn(_ kind: Int, _ number: Int, revision: Int64) {
        objects.withLock { $0[kind][number].revision = revision }
    }

    func add(_ created: Created) { own.withLock { $0.append(created) } }

    /// Any of those that were created here, which is nobody else's from then on.
    func remove(_ random: inout FastRandom) -> Created? {
        var pick = random
        defer { random = pick }
        return own.withLock { own in
            if own.isEmpty { return nil }
            own.swapAt(pick.next(below: own.count), own.count - 1)
            return own.removeLast()
        }
    }

    /// Any of them.
    func any(_ kind: Int, _ random: inout FastRandom) -> Int { random.next(below: counts[kind]) }

    /// How many there were at first.
    func count(_ kind: Int) -> Int { counts[kind] }

    /// The number of an object that is created, and of no other.
    func next() -> Int {
        max(1_000_000, counts.max() ?? 0) + round * 100_000_000 + created.wrappingAdd(1, ordering: .relaxed).oldValue
    }
}
