/// A snapshot that no checkpoint goes beyond, on a connection of its own.
final class SnapshotPin {
    private let newest: SQLiteStatement
    private let connection: SQLiteConnection

    init(_ driver: SQLiteDriver) throws {
        connection = try SQLiteConnection(reading: driver)
        newest = try connection.prepare("SELECT batch FROM drover_meta")
    }

    /// Takes the snapshot, in place of the last: a statement that is not reset keeps it.
    func hold() throws {
        newest.reset()
        _ = try newest.step()
    }

    func release() { newest.reset() }
}
