import ArgumentParser
import EtcdAPI

/// `drover user passwd`.
struct UserPasswordCommand: ClientCommand {
    static let configuration = CommandConfiguration(commandName: "passwd", abstract: "Change a user's password.")

    @OptionGroup var client: ClientOptions

    @Argument(help: "The user.")
    var arguments: [String] = []

    @Flag(inversion: .prefixedNo, help: "Ask for the password twice; otherwise it is a line of standard input.")
    var interactive = true

    func run(_ session: ClientSession) async throws {
        guard arguments.count == 1 else {
            throw CommandFailure.badArguments("user passwd command requires user name as its argument")
        }
        var request = PBAuthUserChangePasswordRequest()
        request.name = arguments[0]
        request.password = try Terminal.newPassword(arguments[0], isInteractive: interactive)
        let reply: PBAuthUserChangePasswordResponse = try await session.call("Auth/UserChangePassword", request)
        try session.printer.show(reply, fields: { $0.header(reply.header) }) {
            $0.line("Password updated")
        }
    }
}
