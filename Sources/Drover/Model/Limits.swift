/// Every limit of the engine on what can grow, in one place, each with its unit.
public struct Limits: Sendable {
    /// The most calls of one group commit.
    public var batchCalls = 1_024
    /// The most bytes of keys and values of one group commit, beyond its first call.
    public var batchBytes = 8 << 20
    /// The most calls that wait for the committer; above it a call fails with etcd's "too many requests".
    public var queuedWriteCalls = 50_000
    /// The most bytes that wait for the committer.
    public var queuedWriteBytes = 256 << 20
    /// The most rows an operation may touch and still share its batch with others.
    public var sharedBatchRows = 10_000
    /// The most reads that wait for a reader thread; above it a read fails with "too many requests".
    public var queuedReads = 50_000
    /// The most bytes of requests that wait for a reader thread.
    public var queuedReadBytes = 128 << 20
    /// Reader threads, each with a connection of its own.
    public var readerThreads = 4
    /// Threads that answer point reads together, one statement for all that wait, each with a connection of its own.
    /// Of a shared database alone: an embedded one answers them where they arrive.
    public var pointThreads = 2
    /// The most point reads of one statement.
    public var pointBatch = 512
    /// The most bytes of values that one statement of point reads brings, beyond its first.
    public var pointBytes = 16 << 20
    /// Bytes of the keys of point reads that go together: each byte written as two, they fit a packet of 1 MiB.
    public var pointKeyBytes = 256 << 10
    /// Seconds that a call waits for a database that is away before it fails with etcd's "request timed out" or "…, possibly due to connection lost". etcd: five
    /// seconds and two election timeouts.
    public var databaseWaitSeconds: Double = 7
    /// The most renewals of leases that are written together.
    public var renewalBatch = 10_000
    /// The most renewals of leases that wait; above it they fail with "too many requests".
    public var queuedRenewals = 1_000_000
    /// The most bytes of keys and values of one write. SQLite and PostgreSQL take a gigabyte at a time at most.
    public var writeBytes = 256 << 20
    /// The most operations in each list of a transaction. etcd: `--max-txn-ops`.
    public var txnOperations = 128
    /// The most events that the feed keeps in memory for watches to resume from.
    public var feedEvents = 65_536
    /// The most bytes of keys and values that the feed keeps in memory.
    public var feedBytes = 8 << 20
    /// The most bytes that may wait at one watch consumer before its watches fall back to the log.
    public var watchBacklogBytes = 2 << 20
    /// The most rows that one pass over the log reads before live events get their turn.
    public var catchUpRows = 4_096
    /// The most bytes that one pass over the log reads before live events get their turn.
    public var catchUpBytes = 4 << 20
    /// The most commands of watches, creates and cancels of all clients, that wait for the feed; above it a stream that sends
    /// one more ends with "too many requests".
    public var watchCommands = 200_000
    /// The most bytes of the keys that they name.
    public var watchCommandBytes = 64 << 20
    /// The most answers that requests of progress of one stream are given at a time; more requests are answered with them.
    public var progressAnswers = 16
    /// The most watches of the store.
    public var watchers = 1_000_000
    /// The most bytes of the keys that all watches name.
    public var watchKeyBytes = 256 << 20
    /// The most defragmentations that wait.
    public var queuedUpkeep = 16
    /// The most range counts that are kept up to date in memory.
    public var countedRanges = 256
    /// The most bytes of the keys that a range is named by and its count is kept.
    public var countedRangeBytes = 4_096
    /// The most creations and deletions that are kept to move the counts by.
    public var countDeltas = 32_768
    /// The most bytes of their keys.
    public var countDeltaBytes = 16 << 20
    /// The keys of a block that counts are put together from; more as blocks would become too many.
    public var countBlockKeys = 512
    /// The most blocks of keys that counts are put together from.
    public var countBlocks = 16_384
    /// The most bytes that the keys between those blocks take.
    public var countBlockBytes = 4 << 20
    /// Bytes of values that were committed lately or read more than once and are kept in memory, so that lists need not fetch
    /// them from the database; 0 keeps none. Of stores that are opened by their endpoint: a driver's configuration has its own.
    public var cachedRowBytes = RowCache.defaultBytes
    /// The most leases of the store.
    public var leases = 10_000_000
    /// Leases revoked for expiry in one round of 500 ms. etcd: 1,000 revokes a second.
    public var expiriesPerRound = 500
    /// The most leases that one batch ends in a shared database: their keys are read and deleted under the lock that others
    /// wait for.
    public var sharedLeaseEnds = 32
    /// The most log rows that one step of the sweep looks at; fewer where a step would take longer than
    /// 15 ms (`SweepPace`).
    public var sweepRows = 4_000
    /// The bytes of rows that a streamed list reads at a time.
    public var listChunkBytes = 512 << 10
    /// The bytes of a list that are produced without a pass over its lengths.
    public var listBufferBytes = 1 << 20
    /// The bytes of a page, a list with a limit, that is read in one go if it seems to come to no more.
    public var listPageBytes = 4 << 20

    /// The defaults; those that a user may meet are named in docs/operations.md.
    public init() {}

    /// These, where no thread would be left to do something, or no time could be told, with the nearest that will do.
    var usable: Limits {
        var limits = self
        let needed: [WritableKeyPath<Limits, Int>] = [
            \.readerThreads, \.pointThreads, \.pointBatch, \.pointKeyBytes, \.renewalBatch, \.expiriesPerRound,
            \.batchCalls,
            \.sweepRows, \.sharedLeaseEnds, \.catchUpRows, \.catchUpBytes,
        ]
        for limit in needed { limits[keyPath: limit] = max(1, self[keyPath: limit]) }
        let kept: [WritableKeyPath<Limits, Int>] = [
            \.countDeltas, \.countDeltaBytes, \.countedRanges, \.watchBacklogBytes, \.progressAnswers,
        ]
        for limit in kept { limits[keyPath: limit] = max(0, self[keyPath: limit]) }
        limits.countBlockKeys = max(2, countBlockKeys)
        // A list's first piece holds a row at least, and some are multiplied.
        limits.listBufferBytes = min(max(4_096, listBufferBytes), 1 << 40)
        limits.listPageBytes = min(max(0, listPageBytes), 1 << 40)
        limits.listChunkBytes = min(max(4_096, listChunkBytes), 1 << 40)
        limits.countedRanges = min(limits.countedRanges, 1 << 32)
        limits.sharedBatchRows = min(max(0, sharedBatchRows), 1 << 40)
        limits.databaseWaitSeconds = databaseWaitSeconds.isNaN ? 7 : min(max(0, databaseWaitSeconds), 1e9)
        return limits
    }
}
