/// A statement that is prepared on each connection that uses it.
struct PGStatement: Sendable {
    /// Its name on the connection.
    let name: String
    let sql: String

    init(_ name: String, _ sql: String) {
        self.name = name
        self.sql = sql
    }
}
