import CLibPQ
import Drover

#if canImport(Glibc)
    import Glibc
#elseif canImport(Musl)
    import Musl
#elseif canImport(Darwin)
    import Darwin
#endif

extension PGConnection {
    static func connect(_ parameters: [(keyword: String, value: String)]) throws -> OpaquePointer {
        let handle = withNames(parameters) { PQconnectdbParams($0, $1, 0) }
        guard let handle else { throw DriverFailure(.unavailable, "there is no memory for a connection") }
        if PQstatus(handle) == CONNECTION_OK { return handle }
        let text = oneLine(String(cString: PQerrorMessage(handle)))
        PQfinish(handle)
        throw DriverFailure(
            .unavailable,
            "PostgreSQL cannot be reached: \(text)\(advice(text))",
            // A server that starts says so in its own language; libpq goes by the error's code.
            isUnreached: isUnreached(text) || withNames(parameters) { PQpingParams($0, $1, 0) } == PQPING_REJECT
        )
    }

    /// Lends a connection's parameters as libpq takes them.
    private static func withNames<R>(
        _ parameters: [(keyword: String, value: String)],
        _ body: (UnsafePointer<UnsafePointer<CChar>?>?, UnsafePointer<UnsafePointer<CChar>?>?) -> R
    ) -> R {
        var keywords: [UnsafeMutablePointer<CChar>?] = parameters.map { strdup($0.keyword) } + [nil]
        var values: [UnsafeMutablePointer<CChar>?] = parameters.map { strdup($0.value) } + [nil]
        defer { for pointer in keywords + values { free(pointer) } }
        return keywords.withUnsafeMutableBufferPointer { keywords in
            values.withUnsafeMutableBufferPointer { values in
                keywords.withMemoryRebound(to: UnsafePointer<CChar>?.self) { keywords in
                    values.withMemoryRebound(to: UnsafePointer<CChar>?.self) { values in
                        body(keywords.baseAddress, values.baseAddress)
                    }
                }
            }
        }
    }

    /// Whether nobody listens yet. Of several addresses the text has what each said: one that refuses is there. Source: libpq
    /// `fe-connect.c`, PostgreSQL `postmaster.c`.
    private static func isUnreached(_ text: String) -> Bool {
        let starting = ["the database system is starting up", "the database system is not yet accepting connections"]
        if starting.contains(where: { text.contains($0) }) { return true }
        let away = [
            "Connection refused", "could not translate host name", "No such file or directory", "timeout expired",
            "No route to host", "Network is unreachable", "server closed the connection unexpectedly",
        ]
        return !text.contains("FATAL:") && away.contains { text.contains($0) }
    }

    private static func advice(_ text: String) -> String {
        if text.contains("password authentication failed") || text.contains("no password supplied") {
            return "; check the user and the password in the endpoint, PGPASSWORD or the password file"
        }
        if text.contains("too many clients") || text.contains("remaining connection slots") {
            return "; raise max_connections or close other clients"
        }
        if text.contains("session is read-only") || text.contains("not read-write") {
            return "; this server is a standby: name the primary, or all hosts divided by commas"
        }
        if text.contains("Connection refused") { return "; is the server running, and does it listen there?" }
        return ""
    }

    static func oneLine(_ text: String) -> String {
        text.split(separator: "\n").joined(separator: " ")
    }
}
