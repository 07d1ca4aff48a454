import ArgumentParser
import EtcdAPI

/// `drover role grant-permission`.
struct RoleGrantPermissionCommand: ClientCommand {
    static let configuration = CommandConfiguration(
        commandName: "grant-permission",
        abstract: "Allow a role to read or write keys."
    )

    @OptionGroup var client: ClientOptions

    @Argument(help: "The role; read, write or readwrite; the key; and the end of the range, which is not in it.")
    var arguments: [String] = []

    @Flag(help: "All keys that begin with the key.")
    var prefix = false

    @Flag(help: "All keys from the key on.")
    var fromKey = false

    private static let kinds: [String: PBPermission.TypeEnum] = [
        "read": .read, "write": .write, "readwrite": .readwrite,
    ]

    func run(_ session: ClientSession) async throws {
        guard 3...4 ~= arguments.count else {
            throw CommandFailure.badArguments(
                "role grant command requires role name, permission type, and key [endkey] as its argument"
            )
        }
        guard let kind = Self.kinds[arguments[1].lowercased()] else {
            throw CommandFailure.badArguments("invalid permission type: \(arguments[1])")
        }
        let range = try KeyRange(Array(arguments.dropFirst(2)), isPrefix: prefix, isFromKey: fromKey)
        var request = PBAuthRoleGrantPermissionRequest()
        request.name = arguments[0]
        (request.perm.permType, request.perm.key, request.perm.rangeEnd) = (kind, .init(range.key), .init(range.end))
        let reply: PBAuthRoleGrantPermissionResponse = try await session.call("Auth/RoleGrantPermission", request)
        try session.printer.show(reply, fields: { $0.header(reply.header) }) {
            $0.line("Role \(arguments[0]) updated")
        }
    }
}
