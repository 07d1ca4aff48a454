import Synchronization

/// Lets the writer keep new snapshots out for the moment it takes to reset an overgrown write-ahead log.
final class ReadGate: Sendable {
    private let isClosed = Atomic<Bool>(false)
    private let lock = Mutex<Void>(())

    /// Returns at once unless the gate is closed.
    @inline(__always)
    func pass() {
        if isClosed.load(ordering: .acquiring) { lock.withLock { _ in } }
    }

    /// Runs `body` with the gate closed. Snapshots that are open go on.
    func closed(_ body: () throws -> Void) rethrows {
        try lock.withLock { _ in
            isClosed.store(true, ordering: .sequentiallyConsistent)
            defer { isClosed.store(false, ordering: .sequentiallyConsistent) }
            try body()
        }
    }
}
