import DroverClient
import EtcdAPI

/// Prints the events of watches, or runs a command for each.
struct WatchDisplay: Sendable {
    let printer: Printer
    let command: [String]

    /// Shows what comes until the server ends it.
    func show(_ call: EtcdCall) async throws {
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
            if reply.created && !reply.canceled { continue }
            try show(reply)
            if reply.canceled { return }
            for event in reply.events where !command.isEmpty { try run(event, reply) }
        }
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

    private func run(_ event: PBEvent, _ reply: PBWatchResponse) throws {
        let status = try Program.run(
            command,
            environment: [
                "ETCD_WATCH_REVISION": "\(reply.header.revision)",
                "ETCD_WATCH_EVENT_TYPE": "\"\(event.type == .put ? "PUT" : "DELETE")\"",
                "ETCD_WATCH_KEY": GoText.quoted(Array(event.kv.key)),
                "ETCD_WATCH_VALUE": GoText.quoted(Array(event.kv.value)),
            ]
        )
        if status != 0 { FileHandles.standardError("the command ended with status \(status)\n") }
    }
}
