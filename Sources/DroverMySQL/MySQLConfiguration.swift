public import Drover

/// Which MySQL or MariaDB database a store lies in, and how it is reached.
public struct MySQLConfiguration: Sendable {
    /// Where a server listens.
    public enum Address: Sendable, Hashable {
        /// A host and a port.
        case tcp(host: String, port: Int)
        /// The path of a socket.
        case unix(path: String)
    }

    /// Whether and how a connection is encrypted.
    public enum TLSMode: Sendable, Hashable {
        /// Not at all.
        case disabled
        /// Encrypted; any certificate will do.
        case required
        /// Encrypted, and the certificate must come from a trusted authority and name the host.
        case verified
    }

    /// The servers, tried in turn: the first that can be written to is taken.
    public var addresses: [Address] = [.tcp(host: "127.0.0.1", port: 3306)]
    /// The user.
    public var user = "root"
    /// The password; empty is none.
    public var password = ""
    /// The database. Default `kubernetes`, as in kine.
    public var database = "kubernetes"
    /// Whether and how connections are encrypted. Nil, the default: verified where ``tls`` is set, otherwise not at all, as
    /// the server's own client does on loopback.
    public var tlsMode: TLSMode?
    /// Files for TLS.
    public var tls = DriverOptions.TLS()
    /// The longest key in bytes. Default 2,048; 3,064 at most: InnoDB's index takes 3,072 with pages of 16 KiB (MySQL manual, "InnoDB
    /// Limits"), and one of ours has a lease's number beside the key. The tables are made with it: a store whose tables take
    /// shorter ones is refused when it is opened.
    public var maximumKeyBytes = 2_048
    /// Bytes of values that were committed lately or read more than once and are kept, for all connections together: a list
    /// fetches the others alone. 0 keeps none. Default 16 MiB.
    public var cachedRowBytes = RowCache.defaultBytes

    /// The defaults.
    public init() {}

    /// Reads an endpoint.
    ///
    /// - A URL: `mysql://user:password@host:3306/database?ssl-mode=VERIFY_IDENTITY`, with percent-encoding and any
    ///   number of hosts divided by commas.
    /// - The Go driver's form, as K3s has it: `mysql://user:password@tcp(host:3306)/database?tls=skip-verify`,
    ///   `mysql://user@unix(/run/mysqld/mysqld.sock)/database`, with the password as it is.
    /// - `mysql` alone: kine's default, root on the system's socket.
    ///
    /// - Throws: ``DroverError`` with ``DroverError/Code/badEndpoint``, which names the part and never shows it.
    public init(endpoint: String) throws {
        var rest = Substring(endpoint)
        if let colon = rest.firstIndex(of: ":") {
            rest = rest[rest.index(after: colon)...]
            if rest.hasPrefix("//") { rest = rest.dropFirst(2) }
        } else {
            rest = ""
        }
        if rest.isEmpty {
            addresses = [.unix(path: "/var/run/mysqld/mysqld.sock")]
            return
        }
        var query: Substring = ""
        // A question mark in a password comes before the last at sign.
        let start = rest.lastIndex(of: "@") ?? rest.startIndex
        if let mark = rest[start...].firstIndex(of: "?") {
            query = rest[rest.index(after: mark)...]
            rest = rest[..<mark]
        }
        var credentials: Substring?
        if let at = rest.lastIndex(of: "@") {
            credentials = rest[..<at]
            rest = rest[rest.index(after: at)...]
        }
        let isGo = rest.hasPrefix("tcp(") || rest.hasPrefix("unix(")
        try readAddress(&rest, isGo: isGo)
        if let credentials { readCredentials(credentials, isGo: isGo) }
        if rest.hasPrefix("/") { rest = rest.dropFirst() }
        if !rest.isEmpty { database = Self.decoded(rest) }
        for pair in query.split(separator: "&") { try readParameter(pair) }
    }

    private mutating func readCredentials(_ text: Substring, isGo: Bool) {
        let parts = text.split(separator: ":", maxSplits: 1, omittingEmptySubsequences: false)
        user = isGo ? String(parts[0]) : Self.decoded(parts[0])
        if parts.count > 1 { password = isGo ? String(parts[1]) : Self.decoded(parts[1]) }
    }

    private mutating func readAddress(_ rest: inout Substring, isGo: Bool) throws {
        if isGo {
            guard let close = rest.firstIndex(of: ")"), let open = rest.firstIndex(of: "(") else {
                throw Self.bad("the address lacks its closing parenthesis")
            }
            let inner = rest[rest.index(after: open)..<close]
            let isUnix = rest.hasPrefix("unix(")
            rest = rest[rest.index(after: close)...]
            addresses = isUnix ? [.unix(path: String(inner))] : try Self.hosts(inner)
            return
        }
        let end = rest.firstIndex(of: "/") ?? rest.endIndex
        let hosts = rest[..<end]
        rest = rest[end...]
        if !hosts.isEmpty { addresses = try Self.hosts(hosts) }
    }

    private static func hosts(_ text: Substring) throws -> [Address] {
        try text.split(separator: ",").map { host in
            var name = host
            var port = 3_306
            if let colon = host.lastIndex(of: ":"), !host.hasSuffix("]") {
                guard let number = Int(host[host.index(after: colon)...]), (1...65_535).contains(number) else {
                    throw bad("a port is no number from 1 to 65535")
                }
                port = number
                name = host[..<colon]
            }
            if name.hasPrefix("[") && name.hasSuffix("]") { name = name.dropFirst().dropLast() }
            return .tcp(host: name.isEmpty ? "127.0.0.1" : decoded(name), port: port)
        }
    }

    private mutating func readParameter(_ pair: Substring) throws {
        let parts = pair.split(separator: "=", maxSplits: 1, omittingEmptySubsequences: false)
        let value = parts.count > 1 ? Self.decoded(parts[1]) : ""
        switch parts[0].lowercased() {
        case "tls":
            switch value.lowercased() {
            case "true": tlsMode = .verified
            case "skip-verify", "preferred": tlsMode = .required
            case "false", "": tlsMode = .disabled
            default: throw Self.bad("the parameter tls must be true, skip-verify, preferred or false")
            }
        case "ssl-mode", "sslmode":
            switch value.uppercased().replacing("_", with: "-") {
            case "DISABLED": tlsMode = .disabled
            case "PREFERRED", "REQUIRED": tlsMode = .required
            case "VERIFY-CA", "VERIFY-IDENTITY": tlsMode = .verified
            default: throw Self.bad("the parameter ssl-mode must be DISABLED, REQUIRED, VERIFY_CA or VERIFY_IDENTITY")
            }
        case "ssl-ca": tls.authorityFile = value
        case "ssl-cert": tls.certificateFile = value
        case "ssl-key": tls.keyFile = value
        // The Go driver's own, which have no meaning here.
        case "parsetime", "loc", "charset", "collation", "timeout", "readtimeout", "writetimeout", "interpolateparams",
            "multistatements", "allownativepasswords", "maxallowedpacket", "rejectreadonly":
            break
        default: throw Self.bad("it has a parameter that is not known")
        }
    }

    private static func bad(_ why: String) -> DroverError {
        DroverError(
            .badEndpoint,
            message:
                "drover: the MySQL endpoint cannot be understood: \(why); it is mysql://user:password@host:3306/database or mysql://user:password@tcp(host:3306)/database"
        )
    }

    /// Percent-decoding.
    private static func decoded(_ text: Substring) -> String {
        var bytes: [UInt8] = []
        var rest = text.utf8[...]
        while let byte = rest.popFirst() {
            if byte == UInt8(ascii: "%"), let code = UInt8(String(decoding: rest.prefix(2), as: UTF8.self), radix: 16) {
                bytes.append(code)
                rest = rest.dropFirst(2)
            } else {
                bytes.append(byte)
            }
        }
        return String(decoding: bytes, as: UTF8.self)
    }
}

extension String {
    fileprivate func replacing(_ character: Character, with other: Character) -> String {
        String(map { $0 == character ? other : $0 })
    }
}
