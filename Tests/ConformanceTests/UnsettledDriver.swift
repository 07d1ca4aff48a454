import Drover
import Synchronization

/// A driver whose next commit is carried out and then reported as unknown, and whose settling is refused a few times
/// before it is answered: as by a server whose old session still holds the lock.
final class UnsettledDriver: Driver {
    let inner: any Driver
    /// Refusals that are left.
    let refusals = Atomic<Int>(0)
    /// Whether the next commit is to be reported as unknown.
    let isArmed = Atomic<Bool>(false)

    init(_ inner: any Driver) { self.inner = inner }

    /// The next commit is reported as unknown, and its settling refused so often.
    func arm(refusals count: Int) {
        refusals.store(count, ordering: .sequentiallyConsistent)
        isArmed.store(true, ordering: .sequentiallyConsistent)
    }

    var name: String { inner.name }
    var maximumKeyBytes: Int { inner.maximumKeyBytes }
    var isShared: Bool { inner.isShared }
    func openWriter() throws -> any DriverWriter { UnsettledWriter(self, try inner.openWriter()) }
    func openReader() throws -> any DriverReader { try inner.openReader() }
    func openLink() throws -> any DriverLink { try inner.openLink() }
    func close() { inner.close() }
}

private final class UnsettledWriter: DriverWriter, ForwardingView {
    private let driver: UnsettledDriver
    private let inner: any DriverWriter

    init(_ driver: UnsettledDriver, _ inner: any DriverWriter) {
        self.driver = driver
        self.inner = inner
    }

    func commit(_ changes: ChangeSet) throws {
        try inner.commit(changes)
        if driver.isArmed.exchange(false, ordering: .sequentiallyConsistent) {
            throw DriverFailure(.unknownOutcome, "the answer to COMMIT was lost")
        }
    }

    func settle(batch: Int64) throws -> Bool {
        if driver.refusals.load(ordering: .sequentiallyConsistent) > 0 {
            driver.refusals.subtract(1, ordering: .sequentiallyConsistent)
            throw DriverFailure(.conflict, "the old session still holds the lock")
        }
        return try inner.settle(batch: batch)
    }

    func begin(_ prefetch: BatchPrefetch) throws -> BatchBase { try inner.begin(prefetch) }
    func rollback() { inner.rollback() }
    func sweep(rows: Int, position: Int64) throws -> SweepStep { try inner.sweep(rows: rows, position: position) }
    func upkeep(idle: Bool) { inner.upkeep(idle: idle) }
    func defragment() throws { try inner.defragment() }
    func close() { inner.close() }
    func readingView() throws -> any DriverView { inner }
}
