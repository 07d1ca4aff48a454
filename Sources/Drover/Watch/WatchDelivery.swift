/// Something a watch is told.
public struct WatchDelivery: Sendable {
    /// What it is told.
    public enum Kind: Sendable {
        /// The watch exists; nothing comes before this.
        case created
        /// The watch was refused; `id` is -1. `reason` is what etcd says on the wire.
        case refused(reason: String, code: DroverError.Code)
        /// Events, whole revisions in order.
        case events(EventList, withPrevious: Bool)
        /// Every event up to `revision` has been delivered. `id` is -1 when that holds for the whole stream.
        case progress
        /// The watch has ended: `compactRevision` is set when the revisions it wanted are gone, and `cause` when it was ended
        /// for another reason than that its client wanted it to.
        case cancelled(compactRevision: Int64, cause: DroverError?)
    }

    /// The consumer it is for.
    public var consumer: WatchConsumer
    /// The watch on that consumer.
    public var id: Int64
    /// The store's revision that goes with it.
    public var revision: Int64
    /// What it is told.
    public var kind: Kind

    /// Bytes that count against the consumer's backlog until ``WatchConsumer/consumed(_:)`` is told of them.
    public var footprint: Int {
        guard case .events(let list, _) = kind else { return 64 }
        return 64 + list.footprint
    }
}

/// Where deliveries go: one for each event loop, so that a dispatch costs each loop one hop.
public protocol WatchTarget: AnyObject, Sendable {
    /// Takes deliveries in order. Called on the feed's thread; must not block.
    func deliver(_ deliveries: [WatchDelivery])
}
