import Synchronization

/// Keeps the committer from sweeping for as long as somebody reads what a sweep would take away.
final class SweepHold: Sendable {
    /// The holds of one committer.
    final class Registry: Sendable {
        /// How long a sweep waits for who holds it, in nanoseconds: clients of a snapshot may stop reading.
        private static let most: Int64 = 300_000_000_000

        /// When each of the holds was made, by its number.
        private let held = Mutex<(next: Int, since: [Int: Int64])>((0, [:]))
        /// Beginnings and ends of steps: odd while one is being made.
        fileprivate let steps = Atomic<Int>(0)

        /// Whether a sweep has to wait.
        var isHeld: Bool {
            let oldest = Monotonic.now() - Self.most
            return held.withLock { $0.since.values.contains { $0 > oldest } }
        }

        /// A step begins, or ends.
        func count() { steps.add(1, ordering: .acquiringAndReleasing) }

        fileprivate func add() -> Int {
            held.withLock {
                $0.next += 1
                $0.since[$0.next] = Monotonic.now()
                return $0.next
            }
        }

        fileprivate func remove(_ number: Int) { held.withLock { $0.since[number] = nil } }
    }

    private let registry: Registry
    private let number: Int
    private let stepsBefore = Atomic<Int>(0)

    init(_ registry: Registry) {
        self.registry = registry
        number = registry.add()
    }

    /// Waits until the step that is being made, if any, has ended. To be called before anything is read.
    func begin() async throws {
        while true {
            let steps = registry.steps.load(ordering: .acquiring)
            stepsBefore.store(steps, ordering: .relaxed)
            if steps % 2 == 0 { return }
            try await Task.sleep(nanoseconds: 1_000_000)
        }
    }

    /// Whether there was a step since ``begin()``.
    var isBroken: Bool { registry.steps.load(ordering: .acquiring) != stepsBefore.load(ordering: .relaxed) }

    /// Lets the sweep go on. Once.
    func release() { registry.remove(number) }
}
