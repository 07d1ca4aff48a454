/// The rows and bytes of a list at a revision, as a server encodes it.
public struct ListMeasure: Sendable {
    /// What was measured.
    public struct Subject: Hashable, Sendable {
        var range: KeyRange
        var revision: Int64
        var limit: Int64
        var keysOnly: Bool

        /// The list that `request` asks for at `revision`.
        public init(_ request: RangeRequest, revision: Int64) {
            range = request.range
            self.revision = revision
            limit = request.limit
            keysOnly = request.keysOnly
        }
    }

    /// Rows in the reply.
    public var rows: Int64
    /// Bytes of the encoded rows.
    public var bytes: Int
    /// Whether the limit leaves rows out.
    public var more: Bool

    /// A measure from its parts.
    public init(rows: Int64, bytes: Int, more: Bool) {
        self.rows = rows
        self.bytes = bytes
        self.more = more
    }
}
