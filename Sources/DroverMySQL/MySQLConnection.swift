import CMariaDB
import Drover

#if canImport(Glibc)
    import Glibc
#elseif canImport(Musl)
    import Musl
#elseif canImport(Darwin)
    import Darwin
#endif

/// A connection, used by one thread at a time. A *flight* is one query of several statements: one round trip.
final class MySQLConnection: DatabaseConnection {
    private let handle: UnsafeMutablePointer<MYSQL>
    /// Whether the connection is of no more use.
    private(set) var isBroken = false

    /// What was known of the database's history before this connection was made.
    var connectedAt = HistoryGuard.Floor()
    /// What ``Availability/turn`` was before this connection was made.
    var madeIn = 0

    /// Gives it up: it is made anew before it is used again.
    func abandon() { isBroken = true }

    /// The most bytes of a query.
    private(set) var packetBytes = 16 << 20
    /// Whether each statement of the last flight has warned.
    private(set) var warnings: [Bool] = []

    /// Connects to the first of the configured servers that can be written to.
    /// - Parameter answerSeconds: how long a statement may take.
    init(
        _ configuration: MySQLConfiguration,
        settings: [String],
        withDatabase: Bool = true,
        answerSeconds: UInt32 = 60
    ) throws {
        var failure: DriverFailure?
        var connected: UnsafeMutablePointer<MYSQL>?
        for address in configuration.addresses {
            do {
                let candidate = try Self.connect(
                    configuration,
                    address,
                    withDatabase: withDatabase,
                    answerSeconds: answerSeconds
                )
                connected = candidate
                if configuration.addresses.count > 1 || withDatabase {
                    if try Self.isReadOnly(candidate) {
                        mysql_close(candidate)
                        connected = nil
                        throw DriverFailure(
                            .unavailable,
                            "this MySQL server is read-only: name the primary, or all hosts divided by commas",
                            engineCode: 1290
                        )
                    }
                }
                break
            } catch let refused as DriverFailure {
                if let candidate = connected { mysql_close(candidate) }
                connected = nil
                if failure.map({ Self.tells(refused, moreThan: $0) }) ?? true { failure = refused }
            }
        }
        guard let connected else { throw failure ?? DriverFailure(.unavailable, "no MySQL server is named") }
        handle = connected
        for setting in settings {
            do {
                try query(setting)
            } catch let failure as DriverFailure where Self.unknownSetting.contains(failure.engineCode) {
                // Left out where this server does not know it, or not for a session.
            }
        }
        if let result = try? query("SELECT @@max_allowed_packet").first, let result, result.next() {
            packetBytes = Int(result.integer(0))
        }
    }

    /// A statement that is not understood or not supported, and a variable that is not known, that is not a session's, that
    /// takes another right, that does not take the value, or that can only be read.
    private static let unknownSetting = [1_064, 1_193, 1_227, 1_228, 1_229, 1_231, 1_232, 1_235, 1_238]

    deinit { mysql_close(handle) }

    /// Of several servers: what the first one says is the most telling, unless it says that it is read-only, or nothing.
    private static func tells(_ later: DriverFailure, moreThan first: DriverFailure) -> Bool {
        if first.engineCode == 1290 { return true }
        return first.isUnreached && !later.isUnreached && later.engineCode != 1290
    }

    private static func connect(
        _ configuration: MySQLConfiguration,
        _ address: MySQLConfiguration.Address,
        withDatabase: Bool,
        answerSeconds: UInt32
    ) throws -> UnsafeMutablePointer<MYSQL> {
        guard let handle = mysql_init(nil) else {
            throw DriverFailure(.unavailable, "there is no memory for a connection")
        }
        var seconds: UInt32 = 5
        mysql_options(handle, MYSQL_OPT_CONNECT_TIMEOUT, &seconds)
        // A server whose machine has gone is noticed; a long statement is not cut off.
        seconds = answerSeconds
        mysql_options(handle, MYSQL_OPT_READ_TIMEOUT, &seconds)
        mysql_options(handle, MYSQL_OPT_WRITE_TIMEOUT, &seconds)
        mysql_options(handle, MYSQL_SET_CHARSET_NAME, "binary")
        setTLS(handle, configuration)
        var host: String?
        var port = 0
        var socket: String?
        switch address {
        case .tcp(let name, let number):
            // Otherwise "localhost" would mean the socket. Its name stays, since a certificate may bear it.
            var kind = MYSQL_PROTOCOL_TCP.rawValue
            mysql_options(handle, MYSQL_OPT_PROTOCOL, &kind)
            host = name
            port = number
        case .unix(let path): socket = path
        }
        let flags = UInt(CLIENT_MULTI_STATEMENTS)
        let database = withDatabase ? configuration.database : nil
        let result = mysql_real_connect(
            handle,
            host,
            configuration.user,
            configuration.password,
            database,
            UInt32(port),
            socket,
            flags
        )
        if result != nil {
            if case .tcp = address {
                watchPeer(mysql_get_socket(handle))
                // Connector/C goes on in the clear with a server that offers no TLS, unless it is to verify a certificate.
                if mode(of: configuration) != .disabled && mysql_get_ssl_cipher(handle) == nil {
                    mysql_close(handle)
                    throw DriverFailure(
                        .unavailable,
                        "this MySQL server offers no TLS, which the endpoint asks for; turn it on there, or take tls or ssl-mode out of the endpoint"
                    )
                }
            }
            return handle
        }
        let code = Int(mysql_errno(handle))
        let text = String(cString: mysql_error(handle))
        mysql_close(handle)
        let failure = MySQLFailure.make(code, text)
        // No socket, no answer, no such host; lost in the middle of the greeting, as by a forwarder that finds nobody.
        if [2_002, 2_003, 2_005, 2_013].contains(code) {
            throw DriverFailure(
                .unavailable,
                "MySQL cannot be reached: \(text); is the server running, and does it listen there?",
                engineCode: code,
                isUnreached: true
            )
        }
        throw DriverFailure(.unavailable, failure.message, engineCode: code, isUnreached: failure.isUnreached)
    }

    /// A server whose packets are lost is noticed within seconds, not after the minute that a long statement may take.
    private static func watchPeer(_ socket: my_socket) {
        var on: Int32 = 1
        setsockopt(socket, SOL_SOCKET, SO_KEEPALIVE, &on, socklen_t(MemoryLayout<Int32>.size))
        #if os(Linux)
            for (name, value) in [
                (TCP_KEEPIDLE, 2), (TCP_KEEPINTVL, 1), (TCP_KEEPCNT, 3), (TCP_USER_TIMEOUT, 5_000),
            ] as [(Int32, Int32)] {
                var value = value
                setsockopt(socket, Int32(IPPROTO_TCP), name, &value, socklen_t(MemoryLayout<Int32>.size))
            }
        #endif
    }

    private static func mode(of configuration: MySQLConfiguration) -> MySQLConfiguration.TLSMode {
        let tls = configuration.tls
        return configuration.tlsMode ?? (tls.isSet ? (tls.skipsVerification ? .required : .verified) : .disabled)
    }

    private static func setTLS(_ handle: UnsafeMutablePointer<MYSQL>, _ configuration: MySQLConfiguration) {
        let tls = configuration.tls
        let mode = mode(of: configuration)
        // Said in either case: Connector/C 3.4 would ask for a certificate it can verify where nothing is said.
        var encrypts: my_bool = mode == .disabled ? 0 : 1
        var verifies: my_bool = mode == .verified ? 1 : 0
        mysql_options(handle, MYSQL_OPT_SSL_ENFORCE, &encrypts)
        mysql_options(handle, MYSQL_OPT_SSL_VERIFY_SERVER_CERT, &verifies)
        if mode == .disabled { return }
        if let file = tls.authorityFile { mysql_options(handle, MYSQL_OPT_SSL_CA, file) }
        if let file = tls.certificateFile { mysql_options(handle, MYSQL_OPT_SSL_CERT, file) }
        if let file = tls.keyFile { mysql_options(handle, MYSQL_OPT_SSL_KEY, file) }
    }

    private static func isReadOnly(_ handle: UnsafeMutablePointer<MYSQL>) throws -> Bool {
        // A number, or a word in newer MariaDB.
        let sql = "SELECT @@global.read_only NOT IN ('0', 'OFF')"
        guard mysql_real_query(handle, sql, UInt(sql.utf8.count)) == 0 else {
            throw MySQLFailure.make(Int(mysql_errno(handle)), String(cString: mysql_error(handle)))
        }
        let result = MySQLResult(mysql_store_result(handle))
        return result.next() && result.integer(0) != 0
    }

    /// When the last flight landed, in nanoseconds.
    private var lastLanding: Int64 = 0

    /// Says something, if nothing was said for a second.
    func stayActive() throws {
        if MonotonicClock.nanoseconds() - lastLanding > 1_000_000_000 { try query("DO 0") }
    }

    /// Sends statements and reads their answers, one for each: nil of one that returns no rows.
    ///
    /// - Parameter seconds: within which the answer begins, where that is sooner than the connection waits anyway.
    /// - Throws: the failure of the first statement that failed; those after it were not carried out.
    @discardableResult
    func land(_ text: SQLText, within seconds: Int32? = nil) throws -> [MySQLResult?] {
        warnings.removeAll(keepingCapacity: true)
        // The server would close the connection: what is sent would look lost.
        guard text.bytes.count < packetBytes else {
            throw DriverFailure(.tooLarge, "the request does not fit the server's max_allowed_packet; raise that")
        }
        defer { lastLanding = MonotonicClock.nanoseconds() }
        return try text.bytes.withUnsafeBytes { bytes in
            let query = bytes.baseAddress!.assumingMemoryBound(to: CChar.self)
            guard mysql_send_query(handle, query, UInt(bytes.count)) == 0 else { throw failure() }
            if let seconds { try waitForAnswer(seconds) }
            guard mysql_read_query_result(handle) == 0 else { throw failure() }
            return try receive(text.statements)
        }
    }

    private func waitForAnswer(_ seconds: Int32) throws {
        var descriptor = pollfd(fd: mysql_get_socket(handle), events: Int16(POLLIN), revents: 0)
        let end = MonotonicClock.nanoseconds() + Int64(seconds) * 1_000_000_000
        while true {
            let left = end - MonotonicClock.nanoseconds()
            let status = poll(&descriptor, 1, Int32(max(0, left / 1_000_000)))
            if status > 0 { return }
            if status < 0 && errno == EINTR && left > 0 { continue }
            isBroken = true
            throw DriverFailure(.unavailable, "MySQL has not answered for \(seconds) seconds", isUnreached: true)
        }
    }

    /// Runs one statement.
    @discardableResult
    func query(_ sql: String) throws -> [MySQLResult?] {
        var text = SQLText()
        text.add(sql)
        return try land(text)
    }

    /// Reads the answers of so many statements, of which the first has begun.
    private func receive(_ expected: Int) throws -> [MySQLResult?] {
        var results: [MySQLResult?] = []
        results.reserveCapacity(expected)
        while true {
            if let stored = mysql_store_result(handle) {
                results.append(MySQLResult(stored))
            } else if mysql_field_count(handle) == 0 && mysql_errno(handle) == 0 {
                // Lost while rows are read, libmariadb forgets that there are columns.
                results.append(nil)
            } else {
                throw failure()
            }
            warnings.append(mysql_warning_count(handle) != 0)
            switch mysql_next_result(handle) {
            case 0: continue
            case -1:
                // libmariadb says the same of a connection that is lost while the next result's columns are read.
                if mysql_errno(handle) != 0 { throw failure() }
                if results.count >= expected { return results }
                isBroken = true
                throw DriverFailure(.unavailable, "MySQL did not answer every statement")
            default: throw failure()
            }
        }
    }

    private func failure() -> DriverFailure {
        let code = Int(mysql_errno(handle))
        let text = String(cString: mysql_error(handle))
        if MySQLFailure.endsConnection(code) { isBroken = true }
        return MySQLFailure.make(code, text)
    }
}
