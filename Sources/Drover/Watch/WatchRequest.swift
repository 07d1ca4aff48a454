/// What a watch asks for. Source: etcd `WatchCreateRequest`.
public struct WatchRequest: Sendable, Hashable {
    /// The keys.
    public var range: KeyRange
    /// The first revision wanted; 0 begins after the present one.
    public var startRevision: Int64
    /// Whether events carry the key as it was before.
    public var wantsPrevious: Bool
    /// Whether the watch is told from time to time how far it is, when nothing happens.
    public var wantsProgress: Bool
    /// Leave puts out.
    public var skipsPuts: Bool
    /// Leave deletions out.
    public var skipsDeletions: Bool
    /// The id to use; 0 lets the stream choose.
    public var id: Int64
    /// On whose behalf it is made. Who may no longer read the keys is told so, and the watch ends.
    package var caller = Caller.trusted

    /// A watch on `range`.
    public init(
        _ range: KeyRange,
        startRevision: Int64 = 0,
        wantsPrevious: Bool = false,
        wantsProgress: Bool = false,
        skipsPuts: Bool = false,
        skipsDeletions: Bool = false,
        id: Int64 = 0
    ) {
        self.range = range
        self.startRevision = startRevision
        self.wantsPrevious = wantsPrevious
        self.wantsProgress = wantsProgress
        self.skipsPuts = skipsPuts
        self.skipsDeletions = skipsDeletions
        self.id = id
    }
}
