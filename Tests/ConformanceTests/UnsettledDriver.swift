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

    var name: String { inner.name }
    var maximumKeyBytes: Int { inner.maximumKeyBytes }
    var isShared: Bool { inner.isShared }
    func openWriter() throws -> any DriverWriter { UnsettledWriter(self, try inner.openWriter()) }
    func openReader() throws -> any DriverReader { try inner.openReader() }
    func openLink() throws -> any DriverLink { try inner.openLink() }
    func close() { inner.close() }
}

private final class UnsettledWriter: DriverWriter {
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
    func scan(
        _ range: KeyRange,
        at revision: Int64?,
        values: Bool,
        expecting: Int,
        _ body: (RowView) throws -> Bool
    ) throws {
        try inner.scan(range, at: revision, values: values, expecting: expecting, body)
    }
    func count(_ range: KeyRange, at revision: Int64?) throws -> Int64 { try inner.count(range, at: revision) }
    func event(main: Int64, sub: Int64, _ body: (RowView) throws -> Void) throws -> Bool {
        try inner.event(main: main, sub: sub, body)
    }
    func events(_ positions: [LogPosition], _ body: (Int, RowView) throws -> Void) throws {
        try inner.events(positions, body)
    }
    func log(from main: Int64, values: Bool, _ body: (RowView) throws -> Bool) throws {
        try inner.log(from: main, values: values, body)
    }
    func state(of key: Bytes) throws -> KeyState? { try inner.state(of: key) }
    func states(of keys: [Bytes]) throws -> [KeyState?] { try inner.states(of: keys) }
    func lease(_ id: Int64) throws -> LeaseState? { try inner.lease(id) }
    func keys(attachedTo lease: Int64) throws -> [Bytes] { try inner.keys(attachedTo: lease) }
}
