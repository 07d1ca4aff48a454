/// A view on a connection to a database server: what it reads comes in windows of rows, each one round trip.
///
/// A driver says how windows are asked for. What is the same for all is provided: the loop over them, values too long to
/// come with others, keys whose newest event is too new for the revision asked for. What a driver's calls throw is a
/// ``DriverFailure``, of kind `unavailable` where the connection was lost.
public protocol ServerView: DriverView {
    associatedtype Connection: DatabaseConnection
    associatedtype Rows: FetchedRows

    /// What it reads on.
    var connection: Connection { get }
    /// What is known of the database's history.
    var history: HistoryGuard { get }
    /// Values that are kept for all connections.
    var cache: RowCache { get }
    /// What a row's value came to lately, for the size of the next window. Bytes.
    var averageValueBytes: Int { get set }

    /// Reads `meta`, in a snapshot of its own or the one that is open.
    func fetchMeta() throws -> StoreMeta
    /// Starts a snapshot and reads `meta` in it, in one round trip.
    func openSnapshot() throws -> StoreMeta
    /// Ends the snapshot.
    func closeSnapshot() throws

    /// Keys of a range in ascending order.
    ///
    /// - Parameters:
    ///   - start: the key to begin with, in place of the range's first.
    ///   - revision: nil for the newest state. Otherwise keys that have been deleted since have their rows, too: their
    ///     deletions, without version. A row that is newer than the revision is without its value.
    ///   - longest: bytes of the longest value that comes with its row; nil when values are not asked for.
    ///   - limit: the rows at most.
    func fetch(_ range: KeyRange, from start: Bytes, at revision: Int64?, longest: Int?, limit: Int) throws -> Rows
    /// Rows of the log after a place, in order, with the places of the keys' previous events; parameters as in
    /// ``fetch(_:from:at:longest:limit:)``.
    func fetchLog(after place: LogPosition, longest: Int?, limit: Int) throws -> Rows
    /// The events at places, each named once, in any order and any number of answers. Values longer than `longest` bytes
    /// are left out.
    func fetchEvents(_ places: [LogPosition], longest: Int) throws -> [Rows]
    /// The states of so few keys that one statement names them, in their order.
    func fetchStates(of keys: [Bytes]) throws -> [KeyState?]
    /// The number of keys in a range, in the newest state.
    func fetchCount(of range: KeyRange) throws -> Int64

    /// Where the chains of events back from places come to after so many, or at the first that is not above the revision;
    /// 0 is the revision of one that has ended. In the order of the places, which differ.
    func follow(_ places: [LogPosition], downTo revision: Int64, hops: Int) throws -> [LogPosition]
    /// See ``ChainSearch/positions(of:at:follow:readBack:)``.
    func readBack(
        _ keys: [Bytes],
        from revision: Int64,
        rows: Int
    ) throws -> (found: [Bytes: LogPosition], isWhole: Bool)
}

extension ServerView {
    /// Checks what this connection shows of the database's history; one that shows an old one is given up.
    public func check(_ meta: StoreMeta, since floor: HistoryGuard.Floor) throws {
        do {
            try history.check(meta, since: floor, connectedAt: connection.connectedAt)
        } catch let failure as DriverFailure where failure.kind == .unavailable {
            connection.abandon()
            throw failure
        }
    }

    /// Checks that a connection that was just made shows the newest event that was known before it was made: whatever the
    /// connection is for, before it is used.
    ///
    /// - Throws: ``DriverFailure`` of kind `forked`, or what reading throws.
    public func checkWitness() throws {
        guard let witness = connection.connectedAt.witness else { return }
        var found: HistoryWitness?
        for rows in try fetchEvents([witness.place], longest: HistoryWitness.longestValue) {
            if let row = rows.next() { withExtendedLifetime(rows) { found = HistoryWitness(row) } }
        }
        try history.check(witness, found: found, meta: fetchMeta())
    }
}
