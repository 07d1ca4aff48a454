import ArgumentParser
import DroverClient
import EtcdAPI
import Synchronization

/// `drover watch`.
struct WatchCommand: ClientCommand {
    static let configuration = CommandConfiguration(
        commandName: "watch",
        abstract: "Print what changes, or run a command for each change.",
        discussion:
            "A command follows --. It is told of the change by ETCD_WATCH_REVISION, _EVENT_TYPE, _KEY and _VALUE."
    )

    @OptionGroup var client: ClientOptions

    @Argument(help: "The key, and the end of the range, which is not in it.")
    var arguments: [String] = []

    // What follows --, a word each: ``GoFlags`` puts it so, as the keys before it may be one or two.
    @Option(parsing: .unconditionalSingleValue, help: .hidden)
    var exec: [String] = []

    @Flag(name: [.customShort("i"), .long], help: "Read lines such as `watch KEY` from standard input.")
    var interactive = false

    @Flag(help: "All keys that begin with the key.")
    var prefix = false

    @Option(help: "The revision to begin with; 0 is the next.")
    var rev: Int64 = 0

    @Flag(help: "Print what the key was before as well.")
    var prevKv = false

    @Flag(help: "Say now and then that nothing has changed.")
    var progressNotify = false

    func request() throws -> PBWatchCreateRequest {
        var keys = arguments
        if keys.isEmpty, let key = Environment.client("WATCH_KEY") {
            keys = [key] + (Environment.client("WATCH_RANGE_END").map { [$0] } ?? [])
        }
        guard 1...2 ~= keys.count else { throw CommandFailure.badArguments("bad number of arguments") }
        let range = try KeyRange(keys, isPrefix: prefix, isFromKey: false)
        var request = PBWatchCreateRequest()
        (request.key, request.rangeEnd) = (.init(range.key), .init(range.end))
        (request.startRevision, request.prevKv, request.progressNotify) = (rev, prevKv, progressNotify)
        // Large changes come in parts, so that no message is larger than may be received.
        request.fragment = true
        return request
    }

    /// A member that its cluster has lost ends the watch rather than to say nothing. Source: etcd `client/v3/op.go`,
    /// `WithRequireLeader`.
    private static let metadata = [("hasleader", "true")]

    func run(_ session: ClientSession) async throws {
        if interactive { return try await read(session) }
        var request = PBWatchRequest()
        request.createRequest = try self.request()
        let display = WatchDisplay(
            printer: session.printer,
            command: exec,
            beginsNow: request.createRequest.startRevision == 0
        )
        var own: ClientSession?
        while true {
            do {
                let call = try await (own ?? session).client.open("/etcdserverpb.Watch/Watch", metadata: Self.metadata)
                try await call.send(request)
                try await display.show(call, isOne: true)
                throw CommandFailure.interrupted("watch is canceled by the server")
            } catch let error as ClientError where error.code == 14 {
                // The server goes, or its machine: what it has not told yet is asked for elsewhere, or when it is back.
                if display.revision > 0 { request.createRequest.startRevision = display.revision + 1 }
                await own?.close()
                own = try await session.reconnected()
            }
        }
    }

    /// Why lines are not read any more.
    private final class Failure: Sendable {
        let error = Mutex<(any Error)?>(nil)
    }

    /// Shows the watches that lines of the standard input ask for.
    private func read(_ session: ClientSession) async throws {
        let call = try await session.client.open("/etcdserverpb.Watch/Watch", metadata: Self.metadata)
        let display = WatchDisplay(printer: session.printer)
        let failure = Failure()
        // Waits for a line that may never come, and ends with the process.
        Task.detached {
            do { try await Self.read(call, display) } catch { failure.error.withLock { $0 = error } }
            await call.cancel()
        }
        do {
            try await display.show(call, isOne: false)
        } catch {
            throw failure.error.withLock { $0 } ?? error
        }
    }

    /// `watch …` and `progress`, a line each.
    private static func read(_ call: EtcdCall, _ display: WatchDisplay) async throws {
        var id: Int64 = 0
        while true {
            guard let line = readLine() else {
                throw CommandFailure.invalidInput("error reading watch request line: EOF")
            }
            let words = try TxnText.words(line)
            var request = PBWatchRequest()
            switch words.first {
            case nil: continue
            case "progress": request.progressRequest = PBWatchProgressRequest()
            case "watch":
                guard let command = try? WatchCommand.parse(Array(GoFlags.normalized(words).dropFirst())) else {
                    FileHandles.standardError("Invalid command \(line) (watch [options] <key> [range_end])\n")
                    continue
                }
                id += 1
                request.createRequest = try command.request()
                request.createRequest.watchID = id
                display.run(command.exec, of: id)
            case "cancel":
                guard words.count == 2, let id = Int64(words[1]) else { continue }
                request.cancelRequest.watchID = id
            default:
                FileHandles.standardError("Invalid command \(line) (only support watch, cancel and progress)\n")
                continue
            }
            try await call.send(request)
        }
    }
}
