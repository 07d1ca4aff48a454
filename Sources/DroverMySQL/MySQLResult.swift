import CMariaDB
import Drover

/// The rows of one statement, in the text protocol.
final class MySQLResult {
    private let handle: UnsafeMutablePointer<MYSQL_RES>?
    let rows: Int
    private var row: MYSQL_ROW?
    private var lengths: UnsafeMutablePointer<UInt>?

    init(_ handle: UnsafeMutablePointer<MYSQL_RES>?) {
        self.handle = handle
        rows = handle.map { Int(mysql_num_rows($0)) } ?? 0
    }

    deinit { if let handle { mysql_free_result(handle) } }

    /// Goes to the next row; false when there is none.
    func next() -> Bool {
        guard let handle, let found = mysql_fetch_row(handle) else { return false }
        row = found
        lengths = mysql_fetch_lengths(handle)
        return true
    }

    /// Goes to before the row of that number, the first being 0.
    func seek(_ row: Int) { if let handle { mysql_data_seek(handle, UInt64(row)) } }

    @inline(__always)
    func isNull(_ column: Int) -> Bool { row![column] == nil }

    /// The bytes of a column, valid for as long as the result.
    @inline(__always)
    func bytes(_ column: Int) -> UnsafeRawBufferPointer {
        UnsafeRawBufferPointer(start: row![column], count: Int(lengths![column]))
    }

    /// A decimal number; 0 of NULL.
    @inline(__always)
    func integer(_ column: Int) -> Int64 {
        var value: Int64 = 0
        var isNegative = false
        for byte in bytes(column) {
            if byte == UInt8(ascii: "-") {
                isNegative = true
            } else if byte >= 48 && byte <= 57 {
                value = value &* 10 &+ Int64(byte - 48)
            } else {
                break
            }
        }
        // The smallest number has no counterpart.
        return isNegative ? 0 &- value : value
    }

    func text(_ column: Int) -> String { String(decoding: bytes(column), as: UTF8.self) }
}

/// From the engines' error numbers to what the engine does about them. Source: MariaDB and MySQL manuals, error codes.
enum MySQLFailure {
    static func make(_ code: Int, _ text: String) -> DriverFailure {
        func failure(_ kind: DriverFailure.Kind, _ advice: String = "", isUnreached: Bool = false) -> DriverFailure {
            DriverFailure(kind, "MySQL \(code): \(text)\(advice)", engineCode: code, isUnreached: isUnreached)
        }
        switch code {
        // Lock wait, deadlock (also a certification that failed in Galera), group certification.
        case 1205, 1213, 3101: return failure(.conflict)
        case 1021, 1114: return failure(.noSpace, "; free space on the database's disk")
        case 1030 where isOutOfSpace(text): return failure(.noSpace, "; free space on the database's disk")
        case 1048, 1062, 1153, 1264, 1366, 1406, 1118, 1301: return failure(.refused)
        case 1290, 1836, 3100:
            return failure(.unavailable, "; this server is read-only: name the primary, or all hosts")
        case 1040, 1203: return failure(.unavailable, "; raise max_connections or close other clients")
        case 1045: return failure(.unavailable, "; check the user and the password in the endpoint")
        case 1044, 1142, 1227: return failure(.unavailable, "; grant this user the right to create and use tables")
        case 1034, 1035, 1194, 1712: return failure(.corrupt)
        // The server shuts down, or has ended the connection; it has gone away, or the connection was lost.
        case 1053, 1927, 4031, 2006, 2013, 2055:
            return failure(.unavailable, isUnreached: true)
        default: return failure(.unavailable)
        }
    }

    /// Whether what a storage engine failed with, the first number in the text, is the system's for a full disk (28) or file
    /// size limit (27), or the engine's own for a full file (135).
    private static func isOutOfSpace(_ text: String) -> Bool {
        let digits = text.drop { !$0.isNumber }.prefix { $0.isNumber }
        return Int(digits).map { [27, 28, 135].contains($0) } ?? false
    }

    /// Whether an error of that number leaves the connection of no use.
    static func endsConnection(_ code: Int) -> Bool {
        (2_000..<3_000).contains(code)
            || [1047, 1053, 1077, 1079, 1080, 1158, 1159, 1160, 1161, 1290, 1836, 1927, 3169, 4031].contains(code)
    }
}
