import ArgumentParser
import EtcdAPI

/// `drover put`.
struct PutCommand: ClientCommand {
    static let configuration = CommandConfiguration(
        commandName: "put",
        abstract: "Write a key.",
        discussion: "The value is read from standard input when it is not given. After -- it may begin with a hyphen."
    )

    @OptionGroup var client: ClientOptions

    @Argument(help: "The key and its value.")
    var arguments: [String] = []

    @Option(help: "The lease that the key lives with, in hexadecimal.")
    var lease: String = "0"

    @Flag(help: "Print what the key was before.")
    var prevKv = false

    @Flag(help: "Keep the value.")
    var ignoreValue = false

    @Flag(help: "Keep the lease.")
    var ignoreLease = false

    func request() throws -> PBPutRequest {
        var request = PBPutRequest()
        if ignoreValue {
            guard arguments.count == 1 else {
                throw CommandFailure.badArguments("put command needs only 1 argument when 'ignore-value' is set")
            }
        } else {
            let lacking = CommandFailure.badArguments(
                "put command needs 1 argument and input from stdin or 2 arguments"
            )
            guard 1...2 ~= arguments.count else { throw lacking }
            request.value = .init(arguments.count == 2 ? Array(arguments[1].utf8) : try Terminal.input())
            // What was to make the value has failed, more likely than not.
            if arguments.count == 1 && request.value.isEmpty { throw lacking }
        }
        request.key = .init(arguments[0].utf8)
        request.lease = try LeaseID.parsed(lease)
        (request.prevKv, request.ignoreValue, request.ignoreLease) = (prevKv, ignoreValue, ignoreLease)
        return request
    }

    func run(_ session: ClientSession) async throws {
        let reply: PBPutResponse = try await session.call("KV/Put", try request())
        try session.printer.show(reply)
    }
}
