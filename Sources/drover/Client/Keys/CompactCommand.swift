import ArgumentParser
import EtcdAPI

/// `drover compaction`.
struct CompactCommand: ClientCommand {
    static let configuration = CommandConfiguration(
        commandName: "compaction",
        abstract: "Forget what was before a revision.",
        aliases: ["compact"]
    )

    @OptionGroup var client: ClientOptions

    @Argument(help: "The revision, the oldest that can be read afterwards.")
    var arguments: [String] = []

    @Flag(help: "Wait until it is gone from the database as well.")
    var physical = false

    func run(_ session: ClientSession) async throws {
        guard arguments.count == 1 else {
            throw CommandFailure.badArguments("compaction command needs 1 argument")
        }
        guard let revision = Int64(arguments[0]) else {
            throw CommandFailure.failed("the revision must be a number")
        }
        var request = PBCompactionRequest()
        (request.revision, request.physical) = (revision, physical)
        let _: PBCompactionResponse =
            physical
            ? try await session.work("KV/Compact", request)
            : try await session.call("KV/Compact", request)
        FileHandles.standardOutput("compacted revision \(revision)\n")
    }
}
