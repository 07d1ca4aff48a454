/// Which hosts a request may name and which pages of a browser may ask. Source: etcd `server/embed/serve.go`,
/// accessController.
struct AccessRules: Sendable {
    /// Names that requests may be made to in cleartext; a star is any.
    let hosts: Set<String>
    /// Origins whose pages may ask; a star is any.
    let origins: Set<String>

    init(_ configuration: ServerConfiguration) {
        hosts = Set(configuration.hostWhitelist)
        origins = Set(configuration.corsOrigins)
    }

    /// Whether the request may be made to the host it names: a page that has its own name point here may not.
    func admits(host: String?, isEncrypted: Bool) -> Bool {
        if isEncrypted || hosts.isEmpty || hosts.contains("*") { return true }
        guard var name = host else { return false }
        if name.hasPrefix("["), let end = name.firstIndex(of: "]") {
            name = String(name[name.index(after: name.startIndex)..<end])
        } else if let colon = name.lastIndex(of: ":") {
            name = String(name[..<colon])
        }
        return hosts.contains(name)
    }

    /// What is told of the origins that may ask; nil is nothing.
    func allowedOrigin(_ origin: String?) -> String? {
        if origins.contains("*") { return "*" }
        guard let origin, origins.contains(origin) else { return nil }
        return origin
    }

    static let methods = "POST, GET, OPTIONS, PUT, DELETE"
    static let headers = "accept, content-type, authorization"
    static let misdirected = PlainReply(
        421,
        "drover: the request names a host that is not served; add it with --host-whitelist, or use TLS\n"
    )
}
