import Synchronization

/// The target of an announced downgrade, which the event loops share.
final class SharedDowngrade: Sendable {
    private let target = Mutex<String?>(nil)

    func withLock<R: Sendable>(_ body: (inout sending String?) throws -> sending R) rethrows -> R {
        try target.withLock(body)
    }
}
