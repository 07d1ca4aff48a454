/// The connection that writes. One thread uses it.
public protocol DriverWriter: DriverView {
    /// Begins a batch: locks and reads `meta`, then fetches the states of the keys that the batch names.
    func begin(prefetching keys: [Bytes]) throws -> (meta: StoreMeta, states: [KeyState?])
    /// Writes the changes and commits. When it throws, the batch did not happen, unless the kind of the failure is
    /// ``DriverFailure/Kind/unknownOutcome``.
    func commit(_ changes: ChangeSet) throws
    /// Gives the batch up. Does nothing when there is none.
    func rollback()
    /// After an unknown outcome: reconnects and says whether the batch numbered `batch` was committed.
    func settle(batch: Int64) throws -> Bool
    /// One step of the sweep: removes a slice of what compaction has left behind and moves `swept`, in a transaction
    /// of its own. Returns whether nothing is left to do.
    func sweep(rows: Int) throws -> Bool
    /// Called between batches, and when there is nothing to do: time for upkeep such as checkpoints.
    func upkeep(idle: Bool)
    /// Gives space back to the system where the engine can.
    func defragment() throws
    /// Closes the connection.
    func close()
}
