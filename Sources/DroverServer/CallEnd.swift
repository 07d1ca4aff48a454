import Synchronization

/// Whether a call is over, for threads other than its event loop: what nobody waits for any more need not be read.
final class CallEnd: Sendable {
    private let value = Atomic<Bool>(false)

    var isSet: Bool { value.load(ordering: .relaxed) }

    func set() { value.store(true, ordering: .relaxed) }
}
