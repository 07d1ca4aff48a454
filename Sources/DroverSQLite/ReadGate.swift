import Drover
import Synchronization

/// Lets the writer keep new snapshots out for the moment it takes to reset an overgrown write-ahead log, or for good.
final class ReadGate: Sendable {
    private let isClosed = Atomic<Bool>(false)
    private let isShut = Atomic<Bool>(false)
    private let lock = Mutex<Void>(())

    /// Returns at once unless the gate is closed.
    ///
    /// - Throws: what ``check()`` throws.
    @inline(__always)
    func pass() throws {
        if !isClosed.load(ordering: .acquiring) { return }
        lock.withLock { _ in }
        try check()
    }

    /// Whether nothing is read or written any more.
    @inline(__always)
    var isOver: Bool { isShut.load(ordering: .acquiring) }

    /// - Throws: ``DriverFailure`` once the gate was shut.
    @inline(__always)
    func check() throws {
        if isOver { throw Self.failure }
    }

    static var failure: DriverFailure {
        var failure = DriverFailure(
            .unavailable,
            "the disk could not sync the database file; nothing acknowledged is lost: see to the disk, then restart"
        )
        failure.endsStore = true
        return failure
    }

    /// Runs `body` with the gate closed. Snapshots that are open go on.
    func closed(_ body: () throws -> Void) rethrows {
        try lock.withLock { _ in
            isClosed.store(true, ordering: .sequentiallyConsistent)
            defer { isClosed.store(isOver, ordering: .sequentiallyConsistent) }
            try body()
        }
    }

    /// Ends reading and writing until the store is opened anew. Call it on the writer's thread.
    func shut() {
        isShut.store(true, ordering: .sequentiallyConsistent)
        isClosed.store(true, ordering: .sequentiallyConsistent)
    }
}
