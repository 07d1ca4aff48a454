/// What every reply's header carries beside the revision.
public struct ResponseHeader: Sendable {
    /// Random, as old as the store.
    public var clusterID: UInt64
    /// Random, as old as the store.
    public var memberID: UInt64
    /// There is no raft here: the term never changes.
    public var raftTerm: UInt64 = 1

    /// A header from its parts.
    public init(clusterID: UInt64, memberID: UInt64) {
        self.clusterID = clusterID
        self.memberID = memberID
    }

    func size(_ revision: Int64) -> Int {
        WireSize.field(clusterID) + WireSize.field(memberID) + WireSize.field(revision) + WireSize.field(raftTerm)
    }

    func write(_ revision: Int64, _ writer: inout WireWriter) {
        writer.header(1, size(revision))
        writer.field(1, clusterID)
        writer.field(2, memberID)
        writer.field(3, revision)
        writer.field(4, raftTerm)
    }

    /// The header as a generated message.
    public func message(_ revision: Int64) -> PBResponseHeader {
        var header = PBResponseHeader()
        header.clusterID = clusterID
        header.memberID = memberID
        header.revision = revision
        header.raftTerm = raftTerm
        return header
    }
}
