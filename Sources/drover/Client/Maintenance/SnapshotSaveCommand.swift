import ArgumentParser
import Crypto
import DroverClient
import EtcdAPI

#if canImport(Glibc)
    import Glibc
#elseif canImport(Musl)
    import Musl
#elseif canImport(Darwin)
    import Darwin
#endif

/// `drover snapshot save`.
struct SnapshotSaveCommand: ClientCommand {
    static let configuration = CommandConfiguration(
        commandName: "save",
        abstract: "Take a snapshot from a running server."
    )

    @OptionGroup var client: ClientOptions

    @Argument(help: "The file to make; one that is there is replaced once the snapshot is whole.")
    var arguments: [String] = []

    func run(_ session: ClientSession) async throws {
        guard arguments.count == 1 else { throw CommandFailure.badArguments("snapshot save expects one argument") }
        let path = arguments[0]
        let part = path + ".part"
        let descriptor = open(part, O_WRONLY | O_CREAT | O_CLOEXEC, 0o600)
        guard descriptor >= 0 else { throw CommandFailure.file("\(part) cannot be made: \(Self.reason)") }
        var isOurs = false
        do {
            defer { close(descriptor) }
            // What one that was killed has left is taken over; what another writes just now is not.
            guard flock(descriptor, LOCK_EX | LOCK_NB) == 0 else {
                throw CommandFailure.file("another snapshot is being saved to \(path)")
            }
            isOurs = true
            guard ftruncate(descriptor, 0) == 0 else {
                throw CommandFailure.file("\(part) cannot be written: \(Self.reason)")
            }
            try await receive(session, into: descriptor)
            guard fsync(descriptor) == 0 else {
                throw CommandFailure.file("the snapshot cannot be kept: \(Self.reason)")
            }
        } catch {
            if isOurs { unlink(part) }
            throw error
        }
        guard rename(part, path) == 0 else { throw CommandFailure.file("\(path) cannot be made: \(Self.reason)") }
        Self.syncDirectory(of: path)
        FileHandles.standardOutput("Snapshot saved at \(path)\n")
    }

    /// The name must survive a loss of power as the bytes do. File systems that cannot sync a directory need not.
    private static func syncDirectory(of path: String) {
        let directory = path.lastIndex(of: "/").map { String(path[...$0]) } ?? "."
        let descriptor = open(directory, O_RDONLY | O_DIRECTORY | O_CLOEXEC)
        if descriptor < 0 { return }
        fsync(descriptor)
        close(descriptor)
    }

    private static var reason: String { String(cString: strerror(errno)) }

    private func receive(_ session: ClientSession, into descriptor: Int32) async throws {
        let call = try await session.client.open("/etcdserverpb.Maintenance/Snapshot")
        try await call.send(PBSnapshotRequest())
        try await call.finishSending()
        // The snapshot ends with its own checksum: what is without it was cut short, whatever the status says.
        var digest = SHA256()
        var end: [UInt8] = []
        var remaining: UInt64?
        for try await bytes in call.messages {
            let reply = try PBSnapshotResponse(serializedBytes: Array(bytes.readableBytesView))
            remaining = reply.remainingBytes
            var rest = Array(reply.blob)[...]
            end += rest
            let sure = max(0, end.count - SHA256Digest.byteCount)
            digest.update(data: end[..<sure])
            end.removeFirst(sure)
            while !rest.isEmpty {
                let count = rest.withUnsafeBytes { write(descriptor, $0.baseAddress, $0.count) }
                if count < 0 && errno == EINTR { continue }
                guard count > 0 else { throw CommandFailure.file("the snapshot cannot be written: \(Self.reason)") }
                rest = rest.dropFirst(count)
            }
        }
        guard remaining != nil else { throw CommandFailure.failed("the server sent no snapshot") }
        guard remaining == 0, end == Array(digest.finalize()) else {
            throw CommandFailure.failed("the snapshot was cut short or damaged on its way; take it again")
        }
    }
}
