/// The one row of `drover_meta`, as a snapshot or a batch saw it.
public struct StoreMeta: Sendable, Hashable {
    /// The store's revision: 1 when new, one more with every revision that changed keys.
    public var revision: Int64
    /// Moves with everything that is written; the fence of group commit.
    public var batch: Int64
    /// Revisions below this one can no longer be read.
    public var compacted: Int64
    /// How far the physical part of compaction has come.
    public var swept: Int64
    /// Events before this revision may be gone from the log. At most `compacted`: the sweep begins a little after the
    /// mark has moved where several instances serve one database.
    public var purged: Int64
    /// The revision at which the present generation of the database's history began: a standby that was promoted, a
    /// cluster that was built anew. 0 of an embedded database.
    public var generationStart: Int64
    /// Moves with every change of what is kept beside keys: alarms, users and roles. 0 while there is none.
    public var systemRevision: Int64
    /// etcd's cluster id: random, made with the store.
    public var clusterID: UInt64
    /// etcd's member id: random, made with the store.
    public var memberID: UInt64

    /// A row from its columns.
    public init(
        revision: Int64,
        batch: Int64,
        compacted: Int64,
        swept: Int64,
        purged: Int64? = nil,
        generationStart: Int64 = 0,
        systemRevision: Int64 = 0,
        clusterID: UInt64,
        memberID: UInt64
    ) {
        self.revision = revision
        self.batch = batch
        self.compacted = compacted
        self.swept = swept
        self.purged = purged ?? compacted
        self.generationStart = generationStart
        self.systemRevision = systemRevision
        self.clusterID = clusterID
        self.memberID = memberID
    }
}
