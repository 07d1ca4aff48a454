/// Where a server of etcd's API listens.
public struct Endpoint: Sendable, Hashable, CustomStringConvertible {
    /// What was written, for messages.
    public let description: String
    /// The host, or the path of a unix socket.
    public let host: String
    /// The port; 0 for a unix socket.
    public let port: Int
    /// Whether it is a socket in the file system.
    public let isUnixSocket: Bool
    /// What the scheme says of encryption; nil when there is no scheme.
    public let isEncrypted: Bool?

    /// Reads `host:port`, `http://host:port`, `https://host:port`, `unix:///path` or `unixs:///path`, as etcd's clients do.
    ///
    /// - Throws: ``ClientError`` with code 3 for anything else.
    public init(_ text: String) throws {
        description = text
        var rest = Substring(text)
        var scheme: Substring?
        if let range = text.range(of: "://") {
            scheme = text[..<range.lowerBound]
            rest = text[range.upperBound...]
        }
        switch scheme {
        case nil: isEncrypted = nil
        case "http", "unix": isEncrypted = false
        case "https", "unixs": isEncrypted = true
        default: throw Self.malformed
        }
        if scheme?.hasPrefix("unix") == true {
            guard !rest.isEmpty else { throw Self.malformed }
            (host, port, isUnixSocket) = (String(rest), 0, true)
            return
        }
        if let slash = rest.firstIndex(of: "/") { rest = rest[..<slash] }
        guard let colon = rest.lastIndex(of: ":"), let port = Int(rest[rest.index(after: colon)...]), port > 0,
            port < 65_536
        else { throw Self.malformed }
        var host = rest[..<colon]
        if host.hasPrefix("["), host.hasSuffix("]") { host = host.dropFirst().dropLast() }
        (self.host, self.port, isUnixSocket) = (host.isEmpty ? "127.0.0.1" : String(host), port, false)
    }

    private static let malformed = ClientError(
        code: 3,
        message: "an endpoint must be HOST:PORT, http://HOST:PORT, https://HOST:PORT or unix:///PATH"
    )

    /// The host that a certificate must name, of a socket in the file system the file's name, as etcd's client has it; nil for
    /// an address, which is compared with the connection's own.
    package var serverName: String? {
        let isAddress = host.contains(":") || host.allSatisfy { $0.isNumber || $0 == "." }
        if isUnixSocket { return host.split(separator: "/").last.map(String.init) }
        return isAddress ? nil : host
    }

    package var authority: String {
        isUnixSocket ? "localhost" : host.contains(":") ? "[\(host)]:\(port)" : "\(host):\(port)"
    }
}

extension String {
    fileprivate func range(of part: String) -> Range<String.Index>? {
        var start = startIndex
        while start < endIndex {
            if self[start...].hasPrefix(part) { return start..<index(start, offsetBy: part.count) }
            start = index(after: start)
        }
        return nil
    }
}
