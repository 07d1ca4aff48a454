import Synchronization

/// An event on its way to any number of watches, encoded once for all of them.
public final class SharedEvent: Sendable {
    /// The event, with the previous key-value when any of the watches wants it.
    public let event: Event
    /// Roughly the bytes it takes.
    public let footprint: Int
    private let encoded = Mutex<(plain: Bytes?, full: Bytes?)>((nil, nil))

    init(_ event: Event) {
        self.event = event
        var bytes = 64 + event.kv.key.count + event.kv.value.count
        if let previous = event.previous { bytes += previous.key.count + previous.value.count }
        footprint = bytes
    }

    /// The encoded form, made by `encode` the first time it is asked for.
    public func encoded(withPrevious: Bool, _ encode: (Event, Bool) -> Bytes) -> Bytes {
        encoded.withLock { cache in
            if withPrevious && event.previous != nil {
                if let full = cache.full { return full }
                let full = encode(event, true)
                cache.full = full
                return full
            }
            if let plain = cache.plain { return plain }
            let plain = encode(event, false)
            cache.plain = plain
            return plain
        }
    }
}
