/// A connection for reading.
public protocol DriverReader: DriverView {
    /// Starts a snapshot that holds until ``endSnapshot()``, and reads `meta` in it.
    func beginSnapshot() throws -> StoreMeta
    /// Ends the snapshot. Does nothing when there is none.
    func endSnapshot()
    /// Reads one key with `meta`, in a snapshot of its own and one round trip. `body` is not called when the key does
    /// not exist.
    ///
    /// - Parameter longest: a value of more bytes is not loaded: the row's value is then empty and its length is not.
    func point(
        _ key: Bytes,
        values: Bool,
        longest: Int,
        _ body: (RowView) throws -> Void
    ) throws -> StoreMeta
    /// All leases. Called once, when a store opens.
    func leases() throws -> [LeaseRecord]
    /// The bytes the database takes, and how many of them are in use.
    func size() throws -> (total: Int64, inUse: Int64)
}
