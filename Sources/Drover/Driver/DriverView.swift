/// What can be read inside a snapshot or inside a batch, before the batch's own changes.
///
/// All calls block; they are made from Drover's own threads, and from an event loop only where the driver says it can
/// answer at once. An object that conforms is used by one thread at a time.
public protocol DriverView: AnyObject {
    /// Called now and then while a batch is being worked out for long, so that a server that ends idle transactions does
    /// not end this one. Nothing by default.
    func stayActive() throws

    /// Lends the keys of `range` in ascending order until `body` returns false.
    ///
    /// - Parameters:
    ///   - revision: nil for the newest state, or a revision at most the newest and at least the compacted one.
    ///   - values: whether rows carry their values.
    ///   - expecting: about how many rows will be taken, for a driver that fetches rows ahead.
    func scan(
        _ range: KeyRange,
        at revision: Int64?,
        values: Bool,
        expecting: Int,
        _ body: (RowView) throws -> Bool
    ) throws

    /// The number of keys in `range`, at a revision as in ``scan(_:at:values:_:)``.
    func count(_ range: KeyRange, at revision: Int64?) throws -> Int64

    /// The key of `range` that `count` others of it precede, in the newest state; nil when it has no more than those.
    func key(in range: KeyRange, after count: Int) throws -> Bytes?

    /// Lends the event at (`main`, `sub`) of the log; false when it is not there.
    func event(main: Int64, sub: Int64, _ body: (RowView) throws -> Void) throws -> Bool

    /// Lends the events at `positions`, with their place in it, in any order; those that are not there are left out.
    func events(_ positions: [LogPosition], _ body: (Int, RowView) throws -> Void) throws

    /// Lends the log's rows from revision `main` on, in order, until `body` returns false.
    ///
    /// - Parameter values: whether rows carry their values.
    func log(from main: Int64, values: Bool, _ body: (RowView) throws -> Bool) throws

    /// The state of one key: of its live row, or of its tombstone.
    func state(of key: Bytes) throws -> KeyState?

    /// The states of many keys, in their order, in few round trips.
    func states(of keys: [Bytes]) throws -> [KeyState?]

    /// A lease, by the database's clock; nil when there is none.
    func lease(_ id: Int64) throws -> LeaseState?

    /// What is kept beside keys (alarms, users and roles), in the engine's own form; empty when nothing was written yet.
    func systemState() throws -> Bytes

    /// The keys attached to a lease, in key order.
    func keys(attachedTo lease: Int64) throws -> [Bytes]

    /// The keys of several leases, each named once and in the order of their numbers, in key order: of as many of them, from the first on, as have at most `limit` keys together;
    /// in few round trips. May be none.
    func keys(attachedTo leases: [Int64], limit: Int) throws -> [[Bytes]]
}

extension DriverView {
    /// As ``scan(_:at:values:expecting:_:)`` for an unknown number of rows.
    public func scan(
        _ range: KeyRange,
        at revision: Int64?,
        values: Bool,
        _ body: (RowView) throws -> Bool
    ) throws {
        try scan(range, at: revision, values: values, expecting: range.isSingle ? 1 : 256, body)
    }
}

extension DriverView {
    public func stayActive() throws {}

    public func keys(attachedTo leases: [Int64], limit: Int) throws -> [[Bytes]] {
        var (found, count): ([[Bytes]], Int) = ([], 0)
        for lease in leases {
            let keys = try keys(attachedTo: lease)
            count += keys.count
            if count > limit { break }
            found.append(keys)
        }
        return found
    }

    /// Lends each of the leases with its keys, in the order of their numbers, a few thousand keys at a time.
    func forEachAttached(to leases: [Int64], _ body: (Int64, [Bytes]) throws -> Void) throws {
        var rest = leases.sorted()[...]
        while let first = rest.first {
            var found = try keys(attachedTo: Array(rest.prefix(256)), limit: 8_192)
            // One alone may have more.
            if found.isEmpty { found = [try keys(attachedTo: first)] }
            for (lease, keys) in zip(rest, found) { try body(lease, keys) }
            rest = rest.dropFirst(found.count)
        }
    }

    /// Puts rows of leases and keys, in the order of leases and one more than the limit at most, together.
    ///
    /// - Parameter row: the place of the next row's lease, and its key; nil at the end.
    package static func attached(
        to leases: Int,
        limit: Int,
        _ row: () throws -> (place: Int, key: Bytes)?
    ) rethrows -> [[Bytes]] {
        var found = [[Bytes]](repeating: [], count: leases)
        var (count, last) = (0, 0)
        while let (place, key) = try row() {
            found[place].append(key)
            (count, last) = (count + 1, place)
        }
        // Where there is more, the last lease may have more as well.
        if count > limit { found.removeSubrange(last...) }
        return found
    }
}
