import CLibPQ
import Drover
import Logging

#if canImport(Glibc)
    import Glibc
#elseif canImport(Musl)
    import Musl
#elseif canImport(Darwin)
    import Darwin
#endif

/// A connection in pipeline mode, used by one thread at a time.
///
/// Statements are sent together, a *flight*, and their answers read together: one round trip whatever their number. The
/// socket does not block, so that both sides may send at once without waiting for each other for ever. Source:
/// PostgreSQL manual, "Pipeline Mode".
final class PGConnection: DatabaseConnection {
    /// How long an answer may take, in milliseconds, before the server is taken for gone.
    var answerMilliseconds = PGConnection.shortAnswerMilliseconds
    /// That of what reads or writes few rows: locks are waited for for two seconds.
    static let shortAnswerMilliseconds: Int32 = 10_000
    /// That of what may read many rows.
    static let longAnswerMilliseconds: Int32 = 60_000
    /// That of a session's settings.
    private static let greetingMilliseconds: Int32 = 5_000

    private let handle: OpaquePointer
    private let prepares: Bool
    private var prepared: Set<String> = []
    /// Flights sent whose answers were not read yet, each with the number of its parts.
    private var unread: [Int] = []
    /// Whether long flights are divided into parts that the server takes for commands of their own. It begins to count a
    /// transaction's idle time only then: a client that stops in the middle of a long flight would hold its locks for
    /// ever. Within a transaction alone, since what follows a failure is not skipped.
    var dividesFlights = false
    /// Bytes of parameters in the present part of the flight, and the parts before it.
    private var partBytes = 0
    private var parts = 0
    private static let mostPartBytes = 4_096
    /// Reads of the socket after which an answer is taken for a long one.
    private static let readsOfShortResult = 3
    /// How long the reader of a long answer does not look at the socket.
    private static let napMicroseconds: UInt32 = 100
    /// Statements of the present flight, whose answers will be read.
    private var sent = 0
    /// Whether the connection is of no more use.
    private(set) var isBroken = false

    /// What was known of the database's history before this connection was made.
    var connectedAt = HistoryGuard.Floor()
    /// What ``Availability/turn`` was before this connection was made.
    var madeIn = 0

    /// Gives it up: it is made anew before it is used again.
    func abandon() { isBroken = true }

    private let notices = Notices()
    /// When the last flight landed, in nanoseconds.
    private(set) var lastLanding: Int64 = 0

    /// Warnings of the server, as they come.
    private final class Notices {
        var hasWarning = false
    }

    init(_ configuration: PostgreSQLConfiguration, database: String? = nil, settings: [String]) throws {
        let parameters = try configuration.parameters(database: database)
        handle = try Self.connect(parameters)
        prepares = configuration.preparesStatements
        PQsetNoticeReceiver(
            handle,
            { context, result in
                guard let context, let result, let severity = drover_pq_severity(result) else { return }
                if String(cString: severity) == "WARNING" {
                    Unmanaged<Notices>.fromOpaque(context).takeUnretainedValue().hasWarning = true
                }
            },
            Unmanaged.passUnretained(notices).toOpaque()
        )
        // What is thrown from here on ends in `deinit`, which closes the connection.
        guard PQenterPipelineMode(handle) == 1, PQsetnonblocking(handle, 1) == 0 else { throw lost() }
        try apply(settings)
    }

    deinit { PQfinish(handle) }

    /// Settings of the session. Those that a server does not know are left out.
    private func apply(_ settings: [String]) throws {
        // A server that lets a client in and then says nothing is to be left as soon as one that does not let it in.
        let usual = answerMilliseconds
        answerMilliseconds = Self.greetingMilliseconds
        defer { answerMilliseconds = usual }
        do {
            for setting in settings { try sendUnprepared(PGStatement("", setting), PGParameters()) }
            try land()
            return
        } catch {
            if isBroken { throw error }
        }
        for setting in settings {
            do {
                _ = try query(setting)
            } catch {
                if isBroken { throw error }
            }
        }
    }

    private func lost() -> DriverFailure {
        isBroken = true
        let text = Self.oneLine(String(cString: PQerrorMessage(handle)))
        return DriverFailure(.unavailable, "the connection to PostgreSQL was lost: \(text)", isUnreached: true)
    }

    // MARK: - A flight

    /// Adds a statement to the flight.
    func send(_ statement: PGStatement, _ parameters: PGParameters = PGParameters()) throws {
        if prepares && !prepared.contains(statement.name) {
            try drain()
            // In a flight of its own, unless statements wait already: an error in one of those would leave it
            // unprepared.
            if sent == 0 {
                guard PQsendPrepare(handle, statement.name, statement.sql, 0, nil) == 1 else { throw lost() }
                sent += 1
                _ = try land()
                prepared.insert(statement.name)
            } else {
                return try sendUnprepared(statement, parameters)
            }
        }
        if !prepares { return try sendUnprepared(statement, parameters) }
        try drain()
        try divide(before: parameters)
        try withPointers(parameters) { values, lengths, formats in
            let status = PQsendQueryPrepared(
                handle,
                statement.name,
                Int32(parameters.ranges.count),
                values,
                lengths,
                formats,
                1
            )
            guard status == 1 else { throw lost() }
        }
        try didSend()
    }

    /// A statement is in the flight; a long one ends its part.
    private func didSend() throws {
        sent += 1
        if dividesFlights && partBytes > Self.mostPartBytes { try endPart() }
    }

    /// Begins another part of the flight where the present one has become long, or would.
    private func divide(before parameters: PGParameters) throws {
        if dividesFlights && partBytes > 0 && partBytes + parameters.bytes.count > Self.mostPartBytes {
            try endPart()
        }
        partBytes += max(1, parameters.bytes.count)
    }

    /// Ends the present part, and sees that its end is not what is still to be sent when this process stops.
    private func endPart() throws {
        guard PQpipelineSync(handle) == 1 else { throw lost() }
        parts += 1
        partBytes = 0
        try flush()
    }

    private func sendUnprepared(_ statement: PGStatement, _ parameters: PGParameters) throws {
        try drain()
        try divide(before: parameters)
        try withPointers(parameters) { values, lengths, formats in
            let status = PQsendQueryParams(
                handle,
                statement.sql,
                Int32(parameters.ranges.count),
                nil,
                values,
                lengths,
                formats,
                1
            )
            guard status == 1 else { throw lost() }
        }
        try didSend()
    }

    /// Prepares statements in one flight.
    func prepare(_ statements: [PGStatement]) throws {
        guard prepares else { return }
        try drain()
        for statement in statements where !prepared.contains(statement.name) {
            guard PQsendPrepare(handle, statement.name, statement.sql, 0, nil) == 1 else { throw lost() }
            sent += 1
        }
        _ = try land()
        for statement in statements { prepared.insert(statement.name) }
    }

    private func withPointers(
        _ parameters: PGParameters,
        _ body: (UnsafePointer<UnsafePointer<CChar>?>?, UnsafePointer<Int32>?, UnsafePointer<Int32>?) throws -> Void
    ) throws {
        if parameters.ranges.isEmpty { return try body(nil, nil, nil) }
        try parameters.bytes.withUnsafeBytes { bytes in
            // An empty value needs an address all the same: none would mean NULL.
            let base = bytes.baseAddress ?? UnsafeRawPointer(bitPattern: 1)!
            let values = parameters.ranges.map {
                UnsafePointer<CChar>?((base + $0.lowerBound).assumingMemoryBound(to: CChar.self))
            }
            let lengths = parameters.ranges.map { Int32($0.count) }
            let formats = [Int32](repeating: 1, count: parameters.ranges.count)
            try body(values, lengths, formats)
        }
    }

    /// Sends what was added and reads the answers, one for each statement.
    ///
    /// - Throws: the first statement's failure; the others of the flight did nothing then.
    @discardableResult
    func land() throws -> [PGResult] {
        let parts = try depart()
        defer { lastLanding = MonotonicClock.nanoseconds() }
        return try arrive(parts)
    }

    /// Runs one statement that is not kept.
    func query(_ sql: String, _ parameters: PGParameters = PGParameters()) throws -> [PGResult] {
        if isBroken { throw lost() }
        precondition(sent == 0, "a query would take the answers of a flight")
        try sendUnprepared(PGStatement("", sql), parameters)
        return try land()
    }

    /// Sends what was added, without waiting for the answers: they are read before the next flight.
    func leave() throws {
        unread.append(try depart())
        sent = 0
    }

    /// Ends the flight and sends it; returns the number of its parts.
    private func depart() throws -> Int {
        notices.hasWarning = false
        guard PQpipelineSync(handle) == 1 else { throw lost() }
        defer {
            parts = 0
            partBytes = 0
        }
        try flush()
        return parts + 1
    }

    /// Hands over to the kernel what was added, without ending the flight's part.
    func flush() throws {
        while true {
            let status = PQflush(handle)
            if status == 0 { return }
            if status < 0 { throw lost() }
            var poll = pollfd(fd: PQsocket(handle), events: Int16(POLLIN | POLLOUT), revents: 0)
            if pollOne(&poll, answerMilliseconds) == 0 { throw silent() }
            if poll.revents & Int16(POLLIN) != 0, PQconsumeInput(handle) == 0 { throw lost() }
        }
    }

    /// Lets one read of the socket bring more: libpq's buffer has 16 KiB until a row was longer, and stays as large.
    func widenInput() throws { _ = try query("SELECT repeat('x', 100000)") }

    private func silent() -> DriverFailure {
        isBroken = true
        return DriverFailure(
            .unavailable,
            "PostgreSQL has not answered for \(answerMilliseconds / 1_000) seconds",
            isUnreached: true
        )
    }

    private func nextResult() throws -> PGResult? {
        var reads = 0
        while PQisBusy(handle) != 0 {
            var poll = pollfd(fd: PQsocket(handle), events: Int16(POLLIN), revents: 0)
            // The server sends 8 KiB at a time. To be woken for each of them costs both sides more than the bytes do.
            if reads >= Self.readsOfShortResult && pollOne(&poll, 0) == 0 { usleep(Self.napMicroseconds) }
            if pollOne(&poll, answerMilliseconds) == 0 { throw silent() }
            if PQconsumeInput(handle) == 0 { throw lost() }
            reads += 1
        }
        return PQgetResult(handle).map(PGResult.init)
    }

    /// Reads answers up to the end of the oldest flight.
    private func arrive(_ parts: Int) throws -> [PGResult] {
        var left = parts
        var results: [PGResult] = []
        results.reserveCapacity(sent)
        var failure: DriverFailure?
        var nothings = 0
        while true {
            guard let result = try nextResult() else {
                // A statement's answers end with nothing; twice in a row means that the server has gone.
                nothings += 1
                if nothings > 2 || PQstatus(handle) != CONNECTION_OK {
                    isBroken = true
                    throw failure ?? lost()
                }
                continue
            }
            nothings = 0
            switch result.status {
            case PGRES_PIPELINE_SYNC:
                left -= 1
                if left > 0 { continue }
                sent = 0
                if let failure { throw failure }
                return results
            case PGRES_COMMAND_OK, PGRES_TUPLES_OK, PGRES_EMPTY_QUERY:
                results.append(result)
            case PGRES_PIPELINE_ABORTED:
                break
            default:
                failure = failure ?? result.failure
                if PGFailure.endsConnection(result.sqlState) { isBroken = true }
                if PQstatus(handle) != CONNECTION_OK {
                    isBroken = true
                    throw failure!
                }
            }
        }
    }

    /// Runs one statement that is not kept, without waiting for its answer.
    func leave(_ sql: String) throws {
        if isBroken { throw lost() }
        try sendUnprepared(PGStatement("", sql), PGParameters())
        try leave()
    }

    /// Whether what was left has come to an answer.
    func hasAnswered() throws -> Bool {
        if PQconsumeInput(handle) == 0 || PQstatus(handle) != CONNECTION_OK { throw lost() }
        return PQisBusy(handle) == 0
    }

    /// Reads the answers of flights that were sent without waiting.
    func drain() throws {
        while !unread.isEmpty {
            let parts = unread.removeFirst()
            let kept = sent
            _ = try arrive(parts)
            sent = kept
        }
    }

    /// Whether the server has warned during the last flight.
    var hasWarning: Bool { notices.hasWarning }

    // MARK: - Notifications

    /// Waits for at most so long for the server to say something, and returns whether it has notified.
    func waitForNotification(milliseconds: Int32) throws -> Bool {
        try drain()
        if takeNotifications() { return true }
        var poll = pollfd(fd: PQsocket(handle), events: Int16(POLLIN), revents: 0)
        if pollOne(&poll, milliseconds) == 0 { return false }
        if PQconsumeInput(handle) == 0 { throw lost() }
        return takeNotifications()
    }

    private func takeNotifications() -> Bool {
        var any = false
        while let notification = PQnotifies(handle) {
            PQfreemem(notification)
            any = true
        }
        return any
    }
}

/// `poll` on one descriptor, over interruptions.
private func pollOne(_ descriptor: inout pollfd, _ milliseconds: Int32) -> Int32 {
    while true {
        let status = poll(&descriptor, 1, milliseconds)
        if status >= 0 || errno != EINTR { return status }
    }
}
