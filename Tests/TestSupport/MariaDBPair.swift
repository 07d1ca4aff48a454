import Foundation

/// A MariaDB primary and its replica, which follows by GTIDs and may only be read.
///
/// The user `app` has every right but that to write to a server that is read-only.
public final class MariaDBPair {
    public let primary: MariaDBServer
    public let replica: MariaDBServer

    /// Starts both.
    public init(_ directory: String, database: String) throws {
        func member(_ id: Int) throws -> MariaDBServer {
            try MariaDBServer(
                directory: "\(directory)/member\(id)",
                settings: ["server-id=\(id)", "log-bin=log", "log-slave-updates=1", "gtid-strict-mode=1"]
            )
        }
        (primary, replica) = (try member(1), try member(2))
        do {
            try primary.start()
            try primary.sql(
                "CREATE USER app@'127.0.0.1' IDENTIFIED BY 'pw'; GRANT ALL ON \(database).* TO app@'127.0.0.1'; CREATE DATABASE \(database)",
                database: nil
            )
            try replica.start()
            try replica.sql(
                "SET GLOBAL read_only = 1; CHANGE MASTER TO master_host='127.0.0.1', master_port=\(primary.port), master_user='root', master_use_gtid=slave_pos; START SLAVE",
                database: nil
            )
        } catch {
            kill()
            throw error
        }
    }

    /// Both, the primary first.
    public func endpoint(database: String) -> String {
        "mysql://app:pw@127.0.0.1:\(primary.port),127.0.0.1:\(replica.port)/\(database)"
    }

    /// The replica alone.
    public func replicaEndpoint(database: String) -> String {
        "mysql://app:pw@127.0.0.1:\(replica.port)/\(database)"
    }

    /// Makes the replica a server to write to, with what it has.
    public func promote() throws {
        try replica.sql("STOP SLAVE; RESET SLAVE ALL; SET GLOBAL read_only = 0", database: nil)
    }

    public func kill() {
        primary.kill()
        replica.kill()
    }
}
