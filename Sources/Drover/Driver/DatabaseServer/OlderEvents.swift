/// Events at a revision of those of a window's rows that are newer.
struct OlderEvents<Rows: FetchedRows> {
    /// Where they are, by the rows' keys; a key that had none then is not among them.
    var places: [Bytes: LogPosition] = [:]
    /// They, by their places; valid for as long as ``fetched``.
    var events: [LogPosition: RowView] = [:]
    /// What holds them.
    var fetched: [Rows] = []

    /// Lends the event that takes the place of `row`; nil where the key did not exist at the revision.
    func lend<R>(insteadOf row: RowView, to body: (RowView) throws -> R) rethrows -> R? {
        guard let place = places[Bytes(row.key)], let event = events[place], event.version != 0 else { return nil }
        return try withExtendedLifetime(fetched) { try body(event) }
    }
}
