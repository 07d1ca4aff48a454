/// Everything one group commit writes.
public struct ChangeSet: Sendable {
    /// A new row of the log.
    public struct LogEvent: Sendable {
        public var key: Bytes
        /// Empty of a deletion.
        public var value: Bytes
        public var main: Int64
        public var sub: Int64
        public var createRevision: Int64
        /// 0 of a deletion.
        public var version: Int64
        public var lease: Int64
        /// The key's previous event; `main` is 0 when there is none.
        public var previousMain: Int64
        public var previousSub: Int64

        /// A row from its columns.
        public init(
            key: Bytes,
            value: Bytes,
            main: Int64,
            sub: Int64,
            createRevision: Int64,
            version: Int64,
            lease: Int64,
            previousMain: Int64,
            previousSub: Int64
        ) {
            self.key = key
            self.value = value
            self.main = main
            self.sub = sub
            self.createRevision = createRevision
            self.version = version
            self.lease = lease
            self.previousMain = previousMain
            self.previousSub = previousSub
        }
    }

    /// What becomes of a key's row in `current` or `tombstone`.
    public struct KeyChange: Sendable {
        public var key: Bytes
        /// The state before the batch, if the key had one.
        public var before: KeyState?
        /// The state after the batch.
        public var after: KeyState

        /// A change from its parts.
        public init(key: Bytes, before: KeyState?, after: KeyState) {
            self.key = key
            self.before = before
            self.after = after
        }
    }

    /// The row of `meta` that the batch was evaluated over.
    public var base: StoreMeta
    /// The revision after the batch.
    public var revision: Int64
    /// The compaction mark after the batch.
    public var compacted: Int64
    /// The log's new rows, in order.
    public var events: [LogEvent] = []
    /// The keys that changed, each once.
    public var keys: [KeyChange] = []
    /// Leases granted.
    public var grantedLeases: [LeaseRecord] = []
    /// Leases revoked: taken away before those that are granted are added, since one may be both.
    public var revokedLeases: [Int64] = []

    /// What is kept beside keys, when that has changed: the driver keeps it and moves `systemRevision` by one.
    public var system: Bytes?

    /// No change at all.
    public init(base: StoreMeta) {
        self.base = base
        self.revision = base.revision
        self.compacted = base.compacted
    }

    /// Whether there is nothing to write.
    public var isEmpty: Bool {
        revision == base.revision && compacted == base.compacted && grantedLeases.isEmpty && revokedLeases.isEmpty
            && system == nil
    }
}
