/// The connection that writes. One thread uses it.
public protocol DriverWriter: DriverView {
    /// Begins a batch: locks and reads `meta`, then fetches what the batch names, as two statements in this order.
    func begin(_ prefetch: BatchPrefetch) throws -> BatchBase
    /// Writes the changes and commits. When it throws, the batch did not happen, unless the kind of the failure is
    /// ``DriverFailure/Kind/unknownOutcome``.
    func commit(_ changes: ChangeSet) throws
    /// Gives the batch up. Does nothing when there is none.
    func rollback()
    /// After an unknown outcome: reconnects, makes sure that the old connection can commit no more, and says whether the
    /// batch numbered `batch` was committed by this instance, durably.
    func settle(batch: Int64) throws -> Bool
    /// One step of the sweep: removes a slice of what compaction has left behind, in a transaction of its own, and moves
    /// `swept` at the end and, in a shared database, now and then (``SweepCursor``). Where several instances serve the
    /// database it first waits, for at most ten seconds, until the watches of all that live have passed what would be
    /// removed.
    ///
    /// - Parameter position: how far this instance's watches are.
    func sweep(rows: Int, position: Int64) throws -> SweepStep
    /// Called between batches, and when there is nothing to do: time for upkeep such as checkpoints.
    func upkeep(idle: Bool)
    /// Why nothing is read or written any more until the store is opened anew; nil, and by default, while that is not so.
    var endOfStore: DriverFailure? { get }
    /// Gives space back to the system, where the database is embedded. Nothing by default.
    func defragment() throws
    /// Closes the connection.
    func close()
}

/// What a step of the sweep has come to.
public enum SweepStep: Sendable, Hashable {
    /// There is more to do.
    case more
    /// Nothing is left to do.
    case finished
    /// Watches still read what would be removed.
    case waiting
}

extension DriverWriter {
    public var endOfStore: DriverFailure? { nil }

    public func defragment() throws {}
}
