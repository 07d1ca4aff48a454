#if canImport(Glibc)
    import Glibc
#elseif canImport(Musl)
    import Musl
#elseif canImport(Darwin)
    import Darwin
#endif

/// Settings from the environment: `DROVER_NAME`, or `KINE_NAME` for those who come from there.
enum Environment {
    static func value(_ name: String) -> String? {
        for prefix in ["DROVER_", "KINE_"] {
            if let raw = getenv(prefix + name) {
                let text = String(cString: raw)
                if !text.isEmpty { return text }
            }
        }
        return nil
    }

    static func integer(_ name: String) -> Int? { value(name).flatMap { Int($0) } }

    /// Parts divided by commas.
    static func list(_ name: String) -> [String] { value(name)?.split(separator: ",").map(String.init) ?? [] }

    static func flag(_ name: String) -> Bool {
        ["1", "true", "yes"].contains(value(name)?.lowercased() ?? "")
    }
}
