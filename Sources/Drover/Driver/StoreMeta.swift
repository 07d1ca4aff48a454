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
        clusterID: UInt64,
        memberID: UInt64
    ) {
        self.revision = revision
        self.batch = batch
        self.compacted = compacted
        self.swept = swept
        self.clusterID = clusterID
        self.memberID = memberID
    }
}
