/// What a sweep takes away: the event that each one up to the compaction mark has replaced, and deletions before the mark.
///
/// A deletion at the mark itself stays until the next sweep, since watches may begin there. Source: etcd `mvcc/key_index.go`,
/// `compact`.
public struct SweepRule: Sendable {
    private let swept: Int64
    /// The compaction mark: revisions before it are gone.
    public let compacted: Int64

    /// The rule for a store whose marks are these.
    public init(_ meta: StoreMeta) {
        swept = meta.swept
        compacted = meta.compacted
    }

    /// Whether the event goes that one of revision `main` has replaced. What was replaced up to the last mark has gone.
    public func takesPrevious(of main: Int64) -> Bool { main > swept }

    /// Whether the event itself goes, and with it its key's tombstone: it is a deletion and before the mark.
    public func takesDeletion(main: Int64, version: Int64) -> Bool { version == 0 && main < compacted }
}
