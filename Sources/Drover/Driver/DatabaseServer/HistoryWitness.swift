/// An event that an instance has seen, by which a history that has it is told from one that went another way since.
///
/// Rows of the log never change, and go only once something newer has taken their place and both are compacted away: where one
/// is another, or lacks above the mark of compaction, others have gone on from a copy that was older.
public struct HistoryWitness: Sendable, Hashable {
    /// Bytes of the longest value that is kept and compared; of longer ones only the length is.
    public static let longestValue = 4_096

    /// Where it lies.
    public let place: LogPosition
    private let key: Bytes
    private let createRevision: Int64
    private let version: Int64
    private let lease: Int64
    private let valueLength: Int
    /// nil where it was too long.
    private let value: Bytes?

    /// An event that was committed here.
    public init(_ event: ChangeSet.LogEvent) {
        place = LogPosition(main: event.main, sub: event.sub)
        key = event.key
        createRevision = event.createRevision
        version = event.version
        lease = event.lease
        valueLength = event.value.count
        value = event.value.count <= Self.longestValue ? event.value : nil
    }

    /// A row of the log that was asked for with its value.
    public init(_ row: RowView) {
        place = LogPosition(main: row.main, sub: row.sub)
        key = Bytes(row.key)
        createRevision = row.createRevision
        version = row.version
        lease = row.lease
        valueLength = row.valueLength
        value = row.value.count == row.valueLength && row.valueLength <= Self.longestValue ? Bytes(row.value) : nil
    }

    /// Whether the row at its place is this event, by all that is known of both.
    func isSame(as other: HistoryWitness) -> Bool {
        key == other.key && createRevision == other.createRevision && version == other.version && lease == other.lease
            && valueLength == other.valueLength && (value == nil || other.value == nil || value == other.value)
    }
}
