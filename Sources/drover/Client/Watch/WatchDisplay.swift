import DroverClient
import EtcdAPI
import Synchronization

/// Prints the events of watches, or runs a command for each.
final class WatchDisplay: Sendable {
    private let printer: Printer
    /// What to run for each event, by watch.
    private let commands: Mutex<[Int64: [String]]>
    private let last = Mutex<Int64>(0)

    /// Whether the watch begins with what comes next, so that its making says from where on.
    private let beginsNow: Bool

    init(printer: Printer, command: [String] = [], beginsNow: Bool = false) {
        self.printer = printer
        self.beginsNow = beginsNow
        commands = Mutex(command.isEmpty ? [:] : [0: command])
    }

    /// The newest revision that was shown, or of which it was said that there was nothing to show; 0 before.
    var revision: Int64 { last.withLock { $0 } }

    /// Runs a command for each event of a watch.
    func run(_ command: [String], of watch: Int64) {
        if !command.isEmpty { commands.withLock { $0[watch] = command } }
    }

    /// Shows what comes until the server ends the stream.
    ///
    /// - Parameter isOne: whether one watch is all there is, so that its end is the end.
    func show(_ call: EtcdCall, isOne: Bool) async throws {
        var parts: PBWatchResponse?
        for try await bytes in call.messages {
            var reply = try PBWatchResponse(serializedBytes: Array(bytes.readableBytesView))
            if let before = parts { reply.events = before.events + reply.events }
            if reply.fragment {
                parts = reply
                continue
            }
            parts = nil
            if reply.canceled { FileHandles.standardError("watch was canceled (\(Self.reason(reply)))\n") }
            if reply.created && !reply.canceled {
                // Once: one that is made anew begins where the last ended, and what happened since is still to come.
                if beginsNow { last.withLock { if $0 == 0 { $0 = reply.header.revision } } }
                continue
            }
            try show(reply)
            if reply.canceled {
                if isOne { return }
                continue
            }
            let command = commands.withLock { $0[reply.watchID] ?? [] }
            for event in reply.events where !command.isEmpty { try run(command, event, reply) }
            let shown = reply.events.last?.kv.modRevision ?? reply.header.revision
            last.withLock { $0 = max($0, shown) }
        }
        throw ClientError.unavailable("the server has ended the stream")
    }

    private static func reason(_ reply: PBWatchResponse) -> String {
        if reply.compactRevision != 0 { return "etcdserver: mvcc: required revision has been compacted" }
        return reply.cancelReason.isEmpty
            ? "etcdserver: mvcc: required revision is a future revision" : reply.cancelReason
    }

    private func show(_ reply: PBWatchResponse) throws {
        let isProgress = reply.events.isEmpty && !reply.canceled
        try printer.show(
            reply,
            fields: { text in
                if isProgress { text.field("ProgressNotify", reply.header.revision) }
                text.header(reply.header)
                for event in reply.events {
                    text.field("Type", event.type == .put ? "PUT" : "DELETE")
                    if event.hasPrevKv { text.pair(event.prevKv, prefix: "Prev") }
                    text.pair(event.kv)
                }
            },
            json: {
                let events = try reply.events.map { try GoJSON.text($0) }.joined(separator: ",")
                return
                    "{\"Header\":\(try GoJSON.text(reply.header)),\"Events\":[\(events)],\"CompactRevision\":\(reply.compactRevision),\"Canceled\":\(reply.canceled),\"Created\":\(reply.created)}"
            },
            simple: { text in
                if isProgress { text.line("progress notify: \(reply.header.revision)") }
                for event in reply.events {
                    text.line(event.type == .put ? "PUT" : "DELETE")
                    if event.hasPrevKv { text.pair(event.prevKv, hex: printer.isHex) }
                    text.pair(event.kv, hex: printer.isHex)
                }
            }
        )
    }

    private func run(_ command: [String], _ event: PBEvent, _ reply: PBWatchResponse) throws {
        let status = try Program.run(
            command,
            environment: [
                "ETCD_WATCH_REVISION": "\(reply.header.revision)",
                "ETCD_WATCH_EVENT_TYPE": "\"\(event.type == .put ? "PUT" : "DELETE")\"",
                "ETCD_WATCH_KEY": GoText.quoted(Array(event.kv.key)),
                "ETCD_WATCH_VALUE": GoText.quoted(Array(event.kv.value)),
            ]
        )
        if status != 0 { throw CommandFailure.failed("command error (exit status \(status))") }
    }
}
