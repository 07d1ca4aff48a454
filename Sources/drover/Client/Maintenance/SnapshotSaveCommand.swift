import ArgumentParser
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
        let descriptor = open(part, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0o600)
        guard descriptor >= 0 else { throw CommandFailure.file("\(part) cannot be made: \(Self.reason)") }
        do {
            defer { close(descriptor) }
            try await receive(session, into: descriptor)
            guard fsync(descriptor) == 0 else {
                throw CommandFailure.file("the snapshot cannot be kept: \(Self.reason)")
            }
        } catch {
            unlink(part)
            throw error
        }
        guard rename(part, path) == 0 else { throw CommandFailure.file("\(path) cannot be made: \(Self.reason)") }
        FileHandles.standardOutput("Snapshot saved at \(path)\n")
    }

    private static var reason: String { String(cString: strerror(errno)) }

    private func receive(_ session: ClientSession, into descriptor: Int32) async throws {
        let call = try await session.client.open("/etcdserverpb.Maintenance/Snapshot")
        try await call.send(PBSnapshotRequest())
        try await call.finishSending()
        var remaining: UInt64?
        for try await bytes in call.messages {
            let reply = try PBSnapshotResponse(serializedBytes: Array(bytes.readableBytesView))
            remaining = reply.remainingBytes
            var rest = Array(reply.blob)[...]
            while !rest.isEmpty {
                let count = rest.withUnsafeBytes { write(descriptor, $0.baseAddress, $0.count) }
                if count < 0 && errno == EINTR { continue }
                guard count > 0 else { throw CommandFailure.file("the snapshot cannot be written: \(Self.reason)") }
                rest = rest.dropFirst(count)
            }
        }
        guard remaining != nil else { throw CommandFailure.failed("the server sent no snapshot") }
    }
}
