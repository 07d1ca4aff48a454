/// A connection to a database server, as what reads on it sees it.
public protocol DatabaseConnection: AnyObject {
    /// Whether it is of no use any more.
    var isBroken: Bool { get }
    /// What was known of the history before it was made.
    var connectedAt: HistoryGuard.Floor { get }
    /// What ``Availability/turn`` was before it was made.
    var madeIn: Int { get }
    /// Gives it up: it is broken from then on.
    func abandon()
}

extension DatabaseConnection {
    /// Whether it may be used again: it works, and the server it is to has not been left since.
    public func isUsable(_ availability: Availability) -> Bool { !isBroken && madeIn == availability.turn }
}
