import CLibPQ
import Drover

/// The answer to one statement, in the binary format.
final class PGResult {
    let handle: OpaquePointer

    init(_ handle: OpaquePointer) {
        self.handle = handle
    }

    deinit { PQclear(handle) }

    var status: ExecStatusType { PQresultStatus(handle) }
    var rows: Int { Int(PQntuples(handle)) }
    /// Such as `COMMIT` or `INSERT 0 5`.
    var commandTag: String { String(cString: PQcmdStatus(handle)) }

    @inline(__always)
    func isNull(_ row: Int, _ column: Int) -> Bool { PQgetisnull(handle, Int32(row), Int32(column)) != 0 }

    @inline(__always)
    func integer(_ row: Int, _ column: Int) -> Int64 {
        guard let pointer = PQgetvalue(handle, Int32(row), Int32(column)) else { return 0 }
        let raw = UnsafeRawPointer(pointer)
        switch PQgetlength(handle, Int32(row), Int32(column)) {
        case 8: return Int64(bigEndian: raw.loadUnaligned(as: Int64.self))
        case 4: return Int64(Int32(bigEndian: raw.loadUnaligned(as: Int32.self)))
        case 1: return Int64(raw.load(as: UInt8.self))
        default: return 0
        }
    }

    /// The bytes of a column, valid for as long as the result.
    @inline(__always)
    func bytes(_ row: Int, _ column: Int) -> UnsafeRawBufferPointer {
        let count = Int(PQgetlength(handle, Int32(row), Int32(column)))
        return UnsafeRawBufferPointer(start: PQgetvalue(handle, Int32(row), Int32(column)), count: count)
    }

    func text(_ row: Int, _ column: Int) -> String { String(decoding: bytes(row, column), as: UTF8.self) }

    /// The error's code; empty when the server did not send the error.
    var sqlState: String { drover_pq_sqlstate(handle).map { String(cString: $0) } ?? "" }

    /// What went wrong, when the status says that something did.
    var failure: DriverFailure {
        let state = sqlState
        let text = drover_pq_primary_message(handle).map { String(cString: $0) } ?? "no message"
        return PGFailure.make(sqlState: state, text)
    }
}

/// From PostgreSQL's error codes to what the engine does about them.
enum PGFailure {
    /// Source: PostgreSQL manual, appendix A.
    static func make(sqlState: String, _ text: String) -> DriverFailure {
        func failure(_ kind: DriverFailure.Kind, _ advice: String = "", isUnreached: Bool = false) -> DriverFailure {
            DriverFailure(
                kind,
                "PostgreSQL \(sqlState): \(text)\(advice)",
                engineCode: code(sqlState),
                isUnreached: isUnreached
            )
        }
        switch sqlState {
        case "40001", "40P01", "55P03": return failure(.conflict)
        case "53100": return failure(.noSpace, "; free space on the database's disk")
        case "25006": return failure(.unavailable, "; this server is a standby: name the primary, or all hosts")
        case "42501": return failure(.unavailable, "; grant this user the right to create and use tables")
        case "53300": return failure(.unavailable, "; raise max_connections or close other clients")
        // The server shuts down, has crashed, or is just starting; or has ended an idle connection.
        case "57P01", "57P02", "57P03", "57P05", "25P03":
            return failure(.unavailable, isUnreached: true)
        default: break
        }
        switch sqlState.prefix(2) {
        case "22", "23", "54": return failure(.refused)
        case "40": return failure(.conflict)
        case "XX", "58": return failure(.corrupt)
        default: return failure(.unavailable)
        }
    }

    /// An error code as a number: its five characters are digits and letters.
    static func code(_ sqlState: String) -> Int { Int(sqlState, radix: 36) ?? 0 }

    /// Whether an error of that code leaves the connection of no use.
    static func endsConnection(_ sqlState: String) -> Bool {
        // Also where the server has become a standby, and where a pooler has lost our prepared statements.
        sqlState.hasPrefix("57P") || sqlState.hasPrefix("08") || ["25P03", "25006", "26000", ""].contains(sqlState)
    }
}
