import Synchronization

/// Events of whole revisions in order, on their way to any number of watches that are told the same.
public final class EventList: Sendable {
    /// The events.
    public let events: [SharedEvent]
    /// Roughly the bytes they take.
    public let footprint: Int
    private let isShared: Bool
    private let encoded = Mutex<(plain: (any Sendable)?, full: (any Sendable)?)>((nil, nil))

    /// - Parameter isShared: whether several watches are told these events, so that their encoded form is worth keeping.
    init(_ events: [SharedEvent], isShared: Bool) {
        self.events = events
        self.isShared = isShared
        footprint = events.reduce(0) { $0 + $1.footprint }
    }

    /// The encoded form of the events, made by `encode` the first time it is asked for, always of the same type.
    public func encoded<Form: Sendable>(withPrevious: Bool, _ encode: ([SharedEvent]) -> Form) -> Form {
        if !isShared { return encode(events) }
        return encoded.withLock { cache in
            if let known = (withPrevious ? cache.full : cache.plain) as? Form { return known }
            let made = encode(events)
            if withPrevious { cache.full = made } else { cache.plain = made }
            return made
        }
    }
}
