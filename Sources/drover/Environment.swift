import Synchronization

#if canImport(Glibc)
    import Glibc
#elseif canImport(Musl)
    import Musl
#elseif canImport(Darwin)
    import Darwin
#endif

/// Settings from the environment: `DROVER_NAME`, or `KINE_NAME` for those who come from there.
enum Environment {
    static func value(_ name: String) -> String? { value([name]) }

    /// The first that is set of a setting's names; ours come before kine's.
    private static func value(_ names: [String]) -> String? {
        for prefix in ["DROVER_", "KINE_"] {
            for name in names {
                if let raw = getenv(prefix + name) {
                    let text = String(cString: raw)
                    if !text.isEmpty { return text }
                }
            }
        }
        return nil
    }

    /// Names of settings that were to be numbers and are not; whoever asked for them went on with a default.
    static var notNumbers: [String] { invalid.withLock { $0.sorted() } }
    private static let invalid = Mutex<Set<String>>([])

    static func integer(_ name: String) -> Int? {
        guard let text = value(name) else { return nil }
        let number = Int(text)
        if number == nil { invalid.withLock { _ = $0.insert(name) } }
        return number
    }

    /// Parts divided by commas, of a setting that may have several names.
    static func list(_ names: String...) -> [String] {
        value(names)?.split(separator: ",").map(String.init) ?? []
    }

    /// A setting of the client: `DROVER_CLIENT_NAME`, or `ETCDCTL_NAME` for those who come from there.
    static func client(_ name: String) -> String? {
        for prefix in ["DROVER_CLIENT_", "ETCDCTL_"] {
            if let raw = getenv(prefix + name) {
                let text = String(cString: raw)
                if !text.isEmpty { return text }
            }
        }
        return nil
    }

    static func clientFlag(_ name: String) -> Bool {
        ["1", "true", "yes"].contains(client(name)?.lowercased() ?? "")
    }

    static func flag(_ name: String) -> Bool {
        ["1", "true", "yes"].contains(value(name)?.lowercased() ?? "")
    }
}
