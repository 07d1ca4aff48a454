/// A connection for reading.
public protocol DriverReader: DriverView {
    /// Reads `meta`, in a snapshot of its own and one round trip.
    func readMeta() throws -> StoreMeta
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
    /// Reads many keys with `meta`, in one snapshot of its own and one round trip. `body` is given the place of a key
    /// in `keys` and its row, for each that exists, in any order.
    ///
    /// - Parameter longest: a value of more bytes is not loaded: the row's value is then empty and its length is not.
    func points(_ keys: [Bytes], longest: Int, _ body: (Int, RowView) throws -> Void) throws -> StoreMeta
    /// All leases, those that expire first in front. In a shared database `now` and `deadline` are its clock's.
    func leases() throws -> [(id: Int64, state: LeaseState)]
    /// The instances that live. One, this one, of an embedded database.
    func instances() throws -> [InstanceRecord]
    /// The bytes the database takes, and how many of them are in use.
    func size() throws -> (total: Int64, inUse: Int64)
    /// Gives space back to the system, where the database is shared; writing goes on meanwhile. Nothing by default.
    func defragment() throws
    /// What the engine itself finds wrong with the database, in words without keys and values. Nothing by default: servers
    /// have means of their own.
    func faults(limit: Int) throws -> [String]
}

extension DriverReader {
    public func defragment() throws {}
    public func faults(limit: Int) throws -> [String] { [] }
}
