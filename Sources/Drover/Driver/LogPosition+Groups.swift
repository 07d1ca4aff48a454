extension LogPosition {
    /// Positions that one statement can name as a range of the log's key.
    public enum Group {
        /// The same place in several revisions.
        case sub(Int64, mains: [Int64])
        /// Several places in one revision.
        case main(Int64, subs: [Int64])
    }

    /// Groups that together are the positions: by place where events are mostly one a revision, by revision where they
    /// are many.
    public static func grouped(_ positions: some Collection<LogPosition>) -> [Group] {
        let bySub = Dictionary(grouping: positions, by: \.sub)
        let byMain = Dictionary(grouping: positions, by: \.main)
        if bySub.count <= byMain.count { return bySub.map { .sub($0, mains: $1.map(\.main)) } }
        return byMain.map { .main($0, subs: $1.map(\.sub)) }
    }
}
