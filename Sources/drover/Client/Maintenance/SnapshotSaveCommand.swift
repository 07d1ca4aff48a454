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
        let descriptor = try Self.take(part)
        // Held until the name is the snapshot's: another that is saved to the same path waits for nothing and is refused.
        defer { close(descriptor) }
        do {
            try await receive(session, into: descriptor)
            guard fsync(descriptor) == 0 else {
                throw CommandFailure.file("the snapshot cannot be kept: \(Self.reason)")
            }
            guard rename(part, path) == 0 else { throw CommandFailure.file("\(path) cannot be made: \(Self.reason)") }
        } catch {
            unlink(part)
            throw error
        }
        Self.syncDirectory(of: path)
        FileHandles.standardOutput("Snapshot saved at \(path)\n")
    }

    /// The file that is written to, locked and empty: what one that was killed has left is taken over, what another writes
    /// just now is not.
    private static func take(_ part: String) throws -> Int32 {
        while true {
            let descriptor = open(part, O_WRONLY | O_CREAT | O_NOFOLLOW | O_CLOEXEC, 0o600)
            guard descriptor >= 0 else { throw CommandFailure.file("\(part) cannot be made: \(reason)") }
            guard flock(descriptor, LOCK_EX | LOCK_NB) == 0 else {
                let isTaken = errno == EWOULDBLOCK
                let reason = reason
                close(descriptor)
                throw CommandFailure.file(
                    isTaken ? "another snapshot is being written to \(part)" : "\(part) cannot be locked: \(reason)"
                )
            }
            var (held, named) = (stat(), stat())
            guard fstat(descriptor, &held) == 0, held.st_uid == geteuid(), fchmod(descriptor, 0o600) == 0 else {
                close(descriptor)
                throw CommandFailure.file("\(part) is another user's; remove it")
            }
            // Between the two another may have finished, and given the file its name.
            guard lstat(part, &named) == 0, named.st_ino == held.st_ino, named.st_dev == held.st_dev else {
                close(descriptor)
                continue
            }
            guard ftruncate(descriptor, 0) == 0 else {
                let reason = reason
                close(descriptor)
                throw CommandFailure.file("\(part) cannot be written: \(reason)")
            }
            return descriptor
        }
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
