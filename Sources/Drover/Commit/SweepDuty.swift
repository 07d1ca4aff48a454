import Synchronization

/// Whether this instance sweeps, for the threads to which it matters.
final class SweepDuty: Sendable {
    private let value: Atomic<Bool>

    init(isOurs: Bool) { value = Atomic(isOurs) }

    var isOurs: Bool {
        get { value.load(ordering: .relaxed) }
        set { value.store(newValue, ordering: .relaxed) }
    }
}
