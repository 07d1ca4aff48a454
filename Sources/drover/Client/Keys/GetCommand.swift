import ArgumentParser
import EtcdAPI

/// `drover get`.
struct GetCommand: ClientCommand {
    static let configuration = CommandConfiguration(commandName: "get", abstract: "Read a key or a range of keys.")

    @OptionGroup var client: ClientOptions

    @Argument(help: "The key, and the end of the range, which is not in it.")
    var arguments: [String] = []

    @Option(help: "Linearizable (l) or serializable (s).")
    var consistency: String = "l"

    @Option(help: "The order of the keys: ASCEND or DESCEND.")
    var order: String = ""

    @Option(help: "What to sort by: CREATE, KEY, MODIFY, VALUE or VERSION.")
    var sortBy: String = ""

    @Option(help: "The most keys; 0 is all.")
    var limit: Int64 = 0

    @Flag(help: "All keys that begin with the key.")
    var prefix = false

    @Flag(help: "All keys from the key on.")
    var fromKey = false

    @Option(help: "The revision to read at; 0 is the newest.")
    var rev: Int64 = 0

    @Flag(help: "The keys without their values.")
    var keysOnly = false

    @Flag(help: "Only how many there are; with -w fields.")
    var countOnly = false

    @Flag(help: "Values alone, in the simple form.")
    var printValueOnly = false

    private static let targets: [String: PBRangeRequest.SortTarget] = [
        "CREATE": .create, "KEY": .key, "MODIFY": .mod, "VALUE": .value, "VERSION": .version,
    ]

    func request() throws -> PBRangeRequest {
        guard 1...2 ~= arguments.count else {
            throw CommandFailure.badArguments(
                "get command needs one argument as key and an optional argument as range_end"
            )
        }
        if keysOnly && countOnly {
            throw CommandFailure.badArguments(
                "`--keys-only` and `--count-only` cannot be set at the same time, choose one"
            )
        }
        var request = PBRangeRequest()
        switch consistency {
        case "l": break
        case "s": request.serializable = true
        default: throw CommandFailure.badFeature("unknown consistency flag \(GoText.quoted(Array(consistency.utf8)))")
        }
        let range = try KeyRange(arguments, isPrefix: prefix, isFromKey: fromKey)
        (request.key, request.rangeEnd) = (.init(range.key), .init(range.end))
        (request.limit, request.revision) = (limit, rev)
        (request.keysOnly, request.countOnly) = (keysOnly, countOnly)
        switch order.uppercased() {
        case "": break
        case "ASCEND": request.sortOrder = .ascend
        case "DESCEND": request.sortOrder = .descend
        default: throw CommandFailure.badFeature("bad sort order \(order)")
        }
        if !sortBy.isEmpty {
            guard let target = Self.targets[sortBy.uppercased()] else {
                throw CommandFailure.badFeature("bad sort target \(sortBy)")
            }
            request.sortTarget = target
            if request.sortOrder == .none { request.sortOrder = .ascend }
        }
        // As etcd's client: this is the order that keys have anyway.
        if request.sortTarget == .key && request.sortOrder == .ascend { request.sortOrder = .none }
        return request
    }

    func run(_ session: ClientSession) async throws {
        let request = try request()
        if countOnly && client.writeOut != .fields {
            throw CommandFailure.badArguments("--count-only is only for `--write-out=fields`")
        }
        if printValueOnly && client.writeOut != .simple {
            throw CommandFailure.badArguments("print-value-only is only for `--write-out=simple`")
        }
        let reply: PBRangeResponse = try await session.call("KV/Range", request)
        try session.printer.show(reply, valueOnly: printValueOnly)
    }
}
