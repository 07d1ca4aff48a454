import ArgumentParser
import EtcdAPI

/// `drover lock`.
struct LockCommand: ClientCommand {
    static let configuration = CommandConfiguration(
        commandName: "lock",
        abstract: "Hold a lock until the command is interrupted, or while another command runs.",
        discussion: "The other command is told of the lock by ETCD_LOCK_KEY and ETCD_LOCK_REV."
    )

    @OptionGroup var client: ClientOptions

    @Argument(help: "The name of the lock, and what to run while it is held; flags of its own come after --.")
    var arguments: [String] = []

    @Option(help: "Seconds after which others get the lock when this client is lost.")
    var ttl: Int64 = 10

    func run(_ session: ClientSession) async throws {
        guard let name = arguments.first else {
            throw CommandFailure.badArguments("lock takes one lock name argument and an optional command to execute")
        }
        let command = Array(arguments.dropFirst())
        let status = try await LeaseSession(session: session, seconds: ttl).hold(command) { lease in
            var request = PBLockRequest()
            (request.name, request.lease) = (.init(name.utf8), lease)
            let (lock, session): (PBLockResponse, _) = try await session.waitThrough("/v3lockpb.Lock/Lock", request)
            if command.isEmpty { try await LeaseSession.show(Array(lock.key), session) }
            return [
                "ETCD_LOCK_KEY": String(decoding: lock.key, as: UTF8.self),
                "ETCD_LOCK_REV": "\(lock.header.revision)",
            ]
        }
        if status != 0 { throw ExitCode(status) }
    }
}
