import ArgumentParser
import EtcdAPI

/// `drover txn`.
struct TxnCommand: ClientCommand {
    static let configuration = CommandConfiguration(
        commandName: "txn",
        abstract: "Compare and then do one thing or another, in one step.",
        discussion:
            "Reads comparisons, what to do when all are true, and what to do otherwise, each ended by an empty line."
    )

    @OptionGroup var client: ClientOptions

    @Flag(name: [.customShort("i"), .long], help: "Say what is to be typed.")
    var interactive = false

    func run(_ session: ClientSession) async throws {
        var request = PBTxnRequest()
        request.compare = try lines("compares:").map(TxnText.comparison)
        request.success = try lines("success requests (get, put, del):").map(TxnText.operation)
        request.failure = try lines("failure requests (get, put, del):").map(TxnText.operation)
        let reply: PBTxnResponse = try await session.call("KV/Txn", request)
        try session.printer.show(reply)
    }

    private func lines(_ prompt: String) throws -> [String] {
        if interactive { FileHandles.standardOutput(prompt + "\n") }
        var lines: [String] = []
        while true {
            guard let line = readLine() else { throw CommandFailure.invalidInput("EOF") }
            let text = line.drop { $0 == " " || $0 == "\t" }
            if text.allSatisfy(\.isWhitespace) { return lines }
            lines.append(String(text))
        }
    }
}
