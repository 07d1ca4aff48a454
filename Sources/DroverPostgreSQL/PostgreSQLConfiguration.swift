import CLibPQ
public import Drover

#if canImport(Glibc)
    import Glibc
#elseif canImport(Musl)
    import Musl
#elseif canImport(Darwin)
    import Darwin
#endif

/// Which PostgreSQL database a store lies in, and how it is reached.
public struct PostgreSQLConfiguration: Sendable {
    /// A connection string of libpq: a URL (`postgres://user:password@host:5432/database?sslmode=verify-full`, with
    /// several hosts divided by commas) or `key=value` pairs. What it leaves out comes from libpq's environment
    /// variables, service file and password file. Source: PostgreSQL manual, "Connection Strings".
    public var connectionString: String
    /// The database that is used when the string names none, as in kine.
    public static let defaultDatabase = "kubernetes"
    /// The longest key in bytes; PostgreSQL's index takes no more than about 2,700.
    public var maximumKeyBytes = 2_048
    /// Bytes of values that were committed lately or read more than once and are kept, for all connections together: a list
    /// fetches the others alone. 0 keeps none. Default 16 MiB.
    public var cachedRowBytes = RowCache.defaultBytes
    /// Whether statements are prepared once for a connection. Turn it off behind a pooler that hands out another
    /// connection for every transaction: `prepared_statements=false` in a URL.
    public var preparesStatements = true
    /// TLS settings for a string that has none of its own.
    public var tls = DriverOptions.TLS()

    /// A database by its connection string.
    public init(connectionString: String) {
        self.connectionString = connectionString
    }

    /// Reads an endpoint: a URL, `key=value` pairs, or `postgres` alone for kine's default,
    /// `postgres:postgres@localhost`.
    public init(endpoint: String) {
        var text = endpoint
        if ["postgres", "postgresql", "postgres://", "postgresql://"].contains(text) {
            text = "postgres://postgres:postgres@localhost/"
        }
        for (option, value) in [("prepared_statements=false", false), ("prepared_statements=true", true)] {
            for (found, rest) in [("?\(option)&", "?"), ("&\(option)", ""), ("?\(option)", ""), (" \(option)", "")] {
                guard let range = Self.range(of: found, in: text) else { continue }
                text.replaceSubrange(range, with: rest)
                preparesStatementsChoice = value
                break
            }
        }
        connectionString = text
        preparesStatements = preparesStatementsChoice
    }

    private var preparesStatementsChoice = true

    private static func range(of part: String, in text: String) -> Range<String.Index>? {
        guard text.utf8.count >= part.utf8.count else { return nil }
        var start = text.startIndex
        while start < text.endIndex {
            if text[start...].hasPrefix(part) { return start..<text.index(start, offsetBy: part.count) }
            start = text.index(after: start)
        }
        return nil
    }

    /// libpq's keywords and values, with what a store needs added where the string says nothing.
    ///
    /// - Parameter database: in place of the one that the string names.
    func parameters(database: String? = nil) throws -> [(keyword: String, value: String)] {
        var message: UnsafeMutablePointer<CChar>?
        guard let options = PQconninfoParse(connectionString, &message) else {
            let text = message.map { String(cString: $0) } ?? ""
            PQfreemem(message)
            // libpq quotes a part of the string in some of its messages: a password must not be shown.
            let kind = text.contains("invalid connection option") ? "it has an option that libpq does not know" : ""
            throw DroverError(
                .badEndpoint,
                message:
                    "drover: the PostgreSQL connection string cannot be understood\(kind.isEmpty ? "" : ": " + kind); it is postgres://user:password@host:5432/database?sslmode=require or key=value pairs, with special characters percent-encoded in the former and quoted in the latter"
            )
        }
        defer { PQconninfoFree(options) }
        var values: [(keyword: String, value: String)] = []
        var option = options
        while let keyword = option.pointee.keyword {
            if let value = option.pointee.val { values.append((String(cString: keyword), String(cString: value))) }
            option += 1
        }
        func has(_ keyword: String) -> Bool { values.contains { $0.keyword == keyword } }
        func set(_ keyword: String, _ value: String, unless variable: String? = nil) {
            // What is given here would win over libpq's environment.
            if let variable, Self.variable(variable) != nil { return }
            if !has(keyword) { values.append((keyword, value)) }
        }
        if let database {
            values.removeAll { $0.keyword == "dbname" }
            set("dbname", database)
        }
        // A service names its database itself.
        if !has("service") && Self.variable("PGSERVICE") == nil {
            set("dbname", Self.defaultDatabase, unless: "PGDATABASE")
        }
        set("fallback_application_name", "drover")
        // A standby is no use: of several hosts the one that can be written to is taken.
        set("target_session_attrs", "read-write", unless: "PGTARGETSESSIONATTRS")
        set("connect_timeout", "5", unless: "PGCONNECT_TIMEOUT")
        // A server whose machine has gone is noticed within seconds. Linux; elsewhere libpq ignores the last.
        set("keepalives_idle", "2")
        set("keepalives_interval", "1")
        set("keepalives_count", "3")
        set("tcp_user_timeout", "5000")
        set("client_encoding", "UTF8")
        if tls.isSet {
            set("sslmode", tls.skipsVerification ? "require" : "verify-full")
            if let file = tls.authorityFile { set("sslrootcert", file) }
            if let file = tls.certificateFile { set("sslcert", file) }
            if let file = tls.keyFile { set("sslkey", file) }
        }
        return values
    }

    /// The database's name; nil where a service file names it.
    func database() throws -> String? {
        try parameters().last { $0.keyword == "dbname" }?.value ?? Self.variable("PGDATABASE")
    }

    /// Whether there is more than one host to try.
    func hasSeveralHosts() throws -> Bool {
        let hosts = try parameters().filter { $0.keyword == "host" || $0.keyword == "hostaddr" }.map(\.value)
        return (hosts + [Self.variable("PGHOST") ?? ""]).contains { $0.contains(",") }
    }

    /// A variable of the environment that says something.
    private static func variable(_ name: String) -> String? {
        getenv(name).map { String(cString: $0) }.flatMap { $0.isEmpty ? nil : $0 }
    }

    /// What libpq calls its parameters.
    static let keywords: Set<String> = {
        guard let options = PQconndefaults() else { return ["host", "hostaddr", "service", "dbname"] }
        defer { PQconninfoFree(options) }
        var keywords: Set<String> = []
        var option = options
        while let keyword = option.pointee.keyword {
            keywords.insert(String(cString: keyword))
            option += 1
        }
        return keywords
    }()
}
