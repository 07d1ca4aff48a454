/// An event on its way to any number of watches.
public final class SharedEvent: Sendable {
    /// The event, with the previous key-value when any of the watches wants it.
    public let event: Event
    /// Roughly the bytes it takes.
    public let footprint: Int

    init(_ event: Event) {
        self.event = event
        var bytes = 64 + event.kv.key.count + event.kv.value.count
        if let previous = event.previous { bytes += previous.key.count + previous.value.count }
        footprint = bytes
    }
}
