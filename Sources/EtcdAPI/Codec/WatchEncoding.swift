public import Drover
public import NIOCore

extension ResponseEncoder {
    /// Appends an event as an entry of `WatchResponse.events`.
    public static func appendWatchEvent(_ event: Event, withPrevious: Bool, to buffer: inout ByteBuffer) {
        let size = entrySize(event, withPrevious)
        buffer.writeWire(WireSize.message(size)) { write(event, withPrevious, size, &$0) }
    }

    /// The bytes that ``appendWatchEvent(_:withPrevious:to:)`` writes.
    public static func watchEventSize(_ event: Event, withPrevious: Bool) -> Int {
        WireSize.message(entrySize(event, withPrevious))
    }

    private static func entrySize(_ event: Event, _ withPrevious: Bool) -> Int {
        let previous = withPrevious ? event.previous : nil
        let previousSize = previous.map { WireSize.message(size($0)) } ?? 0
        return (event.kind == .delete ? 2 : 0) + WireSize.message(size(event.kv)) + previousSize
    }

    private static func write(_ event: Event, _ withPrevious: Bool, _ size: Int, _ writer: inout WireWriter) {
        writer.header(11, size)
        writer.field(1, event.kind == .delete)
        write(event.kv, field: 2, &writer)
        if withPrevious, let previous = event.previous { write(previous, field: 3, &writer) }
    }

    /// Appends a `WatchResponse` with everything but its events.
    public static func appendWatch(
        _ header: ResponseHeader,
        revision: Int64,
        id: Int64,
        created: Bool = false,
        cancelled: Bool = false,
        compactRevision: Int64 = 0,
        reason: String = "",
        fragment: Bool = false,
        to buffer: inout ByteBuffer
    ) {
        let reason = Bytes(reason.utf8)
        let size =
            headerSize(header, revision) + WireSize.field(id) + (created ? 2 : 0) + (cancelled ? 2 : 0)
            + WireSize.field(compactRevision) + WireSize.field(bytes: reason.count) + (fragment ? 2 : 0)
        buffer.writeWire(size) { writer in
            header.write(revision, &writer)
            writer.field(2, id)
            writer.field(3, created)
            writer.field(4, cancelled)
            writer.field(5, compactRevision)
            writer.field(6, bytes: reason)
            writer.field(7, fragment)
        }
    }
}
