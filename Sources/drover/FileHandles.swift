#if canImport(Glibc)
    import Glibc
#elseif canImport(Musl)
    import Musl
#elseif canImport(Darwin)
    import Darwin
#endif

/// Writing to the process's own streams at once, without Foundation.
enum FileHandles {
    static func standardOutput(_ text: String) { put(1, text) }
    static func standardError(_ text: String) { put(2, text) }

    static func standardOutput(bytes: [UInt8]) { put(1, bytes) }

    private static func put(_ descriptor: Int32, _ text: String) { put(descriptor, Array(text.utf8)) }

    private static func put(_ descriptor: Int32, _ all: [UInt8]) {
        var bytes = all[...]
        while !bytes.isEmpty {
            let count = bytes.withUnsafeBytes { write(descriptor, $0.baseAddress, $0.count) }
            if count <= 0 { return }
            bytes = bytes.dropFirst(count)
        }
    }
}
