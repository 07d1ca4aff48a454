import ArgumentParser
import EtcdAPI

/// `drover user add`.
struct UserAddCommand: ClientCommand {
    static let configuration = CommandConfiguration(commandName: "add", abstract: "Make a user.")

    @OptionGroup var client: ClientOptions

    @Argument(help: "The user, as NAME or NAME:PASSWORD; the password is asked for when it is not given.")
    var arguments: [String] = []

    @Flag(inversion: .prefixedNo, help: "Ask for the password twice; otherwise it is a line of standard input.")
    var interactive = true

    @Option(help: "The password.")
    var newUserPassword: String = ""

    @Flag(help: "The user shows a certificate instead.")
    var noPassword = false

    func run(_ session: ClientSession) async throws {
        guard arguments.count == 1 else {
            throw CommandFailure.badArguments("user add command requires user name as its argument")
        }
        var request = PBAuthUserAddRequest()
        request.name = arguments[0]
        if noPassword {
            request.options.noPassword = true
        } else if !newUserPassword.isEmpty {
            request.password = newUserPassword
        } else if let colon = arguments[0].firstIndex(of: ":") {
            request.name = String(arguments[0][..<colon])
            request.password = String(arguments[0][arguments[0].index(after: colon)...])
            if request.name.isEmpty { throw CommandFailure.badArguments("empty user name is not allowed") }
        } else {
            request.password = try Terminal.newPassword(request.name, isInteractive: interactive)
        }
        let reply: PBAuthUserAddResponse = try await session.call("Auth/UserAdd", request)
        try session.printer.show(reply, fields: { $0.header(reply.header) }) {
            $0.line("User \(request.name) created")
        }
    }
}
