import ArgumentParser
import EtcdAPI

/// `drover del`.
struct DelCommand: ClientCommand {
    static let configuration = CommandConfiguration(commandName: "del", abstract: "Delete a key or a range of keys.")

    @OptionGroup var client: ClientOptions

    @Argument(help: "The key, and the end of the range, which is not in it.")
    var arguments: [String] = []

    @Flag(help: "All keys that begin with the key.")
    var prefix = false

    @Flag(help: "All keys from the key on.")
    var fromKey = false

    @Flag(help: "Print what is deleted.")
    var prevKv = false

    func request() throws -> PBDeleteRangeRequest {
        guard 1...2 ~= arguments.count else {
            throw CommandFailure.badArguments(
                "del command needs one argument as key and an optional argument as range_end"
            )
        }
        var request = PBDeleteRangeRequest()
        let range = try KeyRange(arguments, isPrefix: prefix, isFromKey: fromKey)
        (request.key, request.rangeEnd, request.prevKv) = (.init(range.key), .init(range.end), prevKv)
        return request
    }

    func run(_ session: ClientSession) async throws {
        let reply: PBDeleteRangeResponse = try await session.call("KV/DeleteRange", try request())
        try session.printer.show(reply)
    }
}
