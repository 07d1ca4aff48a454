/// Finds the newest event at or below a revision of keys that have many since.
///
/// Two ways lead there: a key's chain of events back from its newest one, as long as the key has events since, and the
/// log back from the revision, as long as there are other keys' events between. A key that is written often has a long
/// chain but is near, one that is written rarely the other way round. Both are gone in turns that grow, so that what is
/// read is a few times the shorter one.
public enum ChainSearch {
    /// Events of a chain that are followed before the log is read back.
    public static let firstHops = 128
    /// Rows of the log that are read back first.
    private static let firstRows = 2_048

    /// The place of each key's newest event at or below the revision; a key that had none is not among them.
    ///
    /// - Parameters:
    ///   - open: the keys, each with the oldest event that is known to be too new.
    ///   - follow: follows each chain by so many events, or to the first that is old enough; answers the place it came
    ///     to, in the same order, with 0 as its revision where the chain ended.
    ///   - readBack: looks through so many rows of the log back from the revision; answers the newest place of each of
    ///     the keys among them, and whether the log had no more.
    public static func positions(
        of open: [Bytes: LogPosition],
        at revision: Int64,
        follow: (_ chains: [(key: Bytes, from: LogPosition)], _ hops: Int) throws -> [LogPosition],
        readBack: (_ keys: [Bytes], _ rows: Int) throws -> (found: [Bytes: LogPosition], isWhole: Bool)
    ) throws -> [Bytes: LogPosition] {
        try positions(of: open, at: revision, now: Monotonic.now, follow: follow, readBack: readBack)
    }

    /// - Parameter now: nanoseconds of a clock.
    static func positions(
        of open: [Bytes: LogPosition],
        at revision: Int64,
        now: () -> Int64,
        follow: (_ chains: [(key: Bytes, from: LogPosition)], _ hops: Int) throws -> [LogPosition],
        readBack: (_ keys: [Bytes], _ rows: Int) throws -> (found: [Bytes: LogPosition], isWhole: Bool)
    ) throws -> [Bytes: LogPosition] {
        var open = open
        var found: [Bytes: LogPosition] = [:]
        var hops = 2 * firstHops
        var rows = firstRows
        var (reading, following): (Int64, Int64) = (0, 0)
        while !open.isEmpty {
            let begun = now()
            if reading <= following {
                let (near, isWhole) = try readBack(Array(open.keys), rows)
                for (key, place) in near {
                    open[key] = nil
                    found[key] = place
                }
                if isWhole { break }
                rows *= 2
                reading += now() - begun
            } else {
                let chains = open.map { (key: $0.key, from: $0.value) }
                for (chain, place) in zip(chains, try follow(chains, hops)) {
                    if place.main > revision {
                        open[chain.key] = place
                    } else {
                        open[chain.key] = nil
                        if place.main > 0 { found[chain.key] = place }
                    }
                }
                hops *= 2
                following += now() - begun
            }
        }
        return found
    }
}
