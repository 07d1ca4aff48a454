#if canImport(Glibc)
    import Glibc
#elseif canImport(Musl)
    import Musl
#elseif canImport(Darwin)
    import Darwin
#endif

import Synchronization

/// Writing to the process's own streams at once, without Foundation.
enum FileHandles {
    /// Whether the process ends when nobody reads its output any more, as programs of a pipe do.
    static let endsWithReader = Atomic<Bool>(false)

    static func standardOutput(_ text: String) { put(1, text) }
    static func standardError(_ text: String) { put(2, text) }

    static func standardOutput(bytes: [UInt8]) { put(1, bytes) }

    private static func put(_ descriptor: Int32, _ text: String) { put(descriptor, Array(text.utf8)) }

    private static func put(_ descriptor: Int32, _ all: [UInt8]) {
        var bytes = all[...]
        while !bytes.isEmpty {
            let count = bytes.withUnsafeBytes { write(descriptor, $0.baseAddress, $0.count) }
            if count < 0 && errno == EINTR { continue }
            if count < 0 && errno == EAGAIN {
                var wanted = pollfd(fd: descriptor, events: Int16(POLLOUT), revents: 0)
                poll(&wanted, 1, -1)
                continue
            }
            if count < 0 && errno == EPIPE && descriptor == 1 && endsWithReader.load(ordering: .relaxed) {
                // Sockets have it ignored.
                signal(SIGPIPE, SIG_DFL)
                raise(SIGPIPE)
            }
            if count <= 0 { return }
            bytes = bytes.dropFirst(count)
        }
    }
}
