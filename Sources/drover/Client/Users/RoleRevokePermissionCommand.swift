import ArgumentParser
import EtcdAPI

/// `drover role revoke-permission`.
struct RoleRevokePermissionCommand: ClientCommand {
    static let configuration = CommandConfiguration(
        commandName: "revoke-permission",
        abstract: "Take a role's permission back, by the same keys as it was given for."
    )

    @OptionGroup var client: ClientOptions

    @Argument(help: "The role, the key, and the end of the range, which is not in it.")
    var arguments: [String] = []

    @Flag(help: "All keys that begin with the key.")
    var prefix = false

    @Flag(help: "All keys from the key on.")
    var fromKey = false

    func run(_ session: ClientSession) async throws {
        guard 2...3 ~= arguments.count else {
            throw CommandFailure.badArguments(
                "role revoke-permission command requires role name and key [endkey] as its argument"
            )
        }
        let range = try KeyRange(Array(arguments.dropFirst()), isPrefix: prefix, isFromKey: fromKey)
        var request = PBAuthRoleRevokePermissionRequest()
        (request.role, request.key, request.rangeEnd) = (arguments[0], .init(range.key), .init(range.end))
        let reply: PBAuthRoleRevokePermissionResponse = try await session.call("Auth/RoleRevokePermission", request)
        try session.printer.show(reply, fields: { $0.header(reply.header) }) { text in
            text.add("Permission of \(range.end.isEmpty ? "key" : "range") ")
            text.add(RoleText.range(range.key, range.end, isRevoked: true))
            text.line(" is revoked from role \(arguments[0])")
        }
    }
}
