import Synchronization

/// Events of whole revisions in order, on their way to any number of watches that are told the same.
public final class EventList: Sendable {
    /// The events.
    public let events: [SharedEvent]
    /// Roughly the bytes they take.
    public let footprint: Int
    /// Whether several watches are told these events, so that their encoded form is worth keeping.
    public let isShared: Bool
    private let encoded = Mutex<(plain: (any Sendable)?, full: (any Sendable)?)>((nil, nil))

    init(_ events: [SharedEvent], isShared: Bool) {
        self.events = events
        self.isShared = isShared
        footprint = events.reduce(0) { $0 + $1.footprint }
    }

    /// The encoded form of the events, kept when `encode` has made it; always of the same type.
    public func encoded<Form: Sendable>(withPrevious: Bool, _ encode: ([SharedEvent]) -> Form) -> Form {
        encoded.withLock { cache in
            if let known = (withPrevious ? cache.full : cache.plain) as? Form { return known }
            let made = encode(events)
            if withPrevious { cache.full = made } else { cache.plain = made }
            return made
        }
    }
}
