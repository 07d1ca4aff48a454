/// A PostgreSQL server and its standby, both running.
public final class PostgreSQLPair: Sendable {
    public let primary: PostgreSQLServer
    public let standby: PostgreSQLServer

    /// - Parameter directory: one that the servers' user may enter.
    public init(_ directory: String) throws {
        primary = try PostgreSQLServer(directory: "\(directory)/primary")
        try primary.start()
        standby = try PostgreSQLServer(directory: "\(directory)/standby", cloneOf: primary)
        try standby.start()
    }

    /// From now on a commit waits for the standby.
    public func replicateSynchronously() throws {
        try primary.sql("ALTER SYSTEM SET synchronous_standby_names = '*'", database: nil)
        try primary.reload()
    }

    /// An endpoint that names both, the primary first or last.
    public func endpoint(database: String, primaryFirst: Bool = true) -> String {
        let (first, second) = primaryFirst ? (primary, standby) : (standby, primary)
        let hosts = ":\(first.port),127.0.0.1:\(second.port)/"
        return first.endpoint(database: database).replacing(":\(first.port)/", with: hosts)
    }

    public func kill() {
        standby.kill()
        primary.kill()
    }
}
