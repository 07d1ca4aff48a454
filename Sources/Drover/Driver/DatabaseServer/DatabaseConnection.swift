/// A connection to a database server, as what reads on it sees it.
public protocol DatabaseConnection: AnyObject {
    /// Whether it is of no use any more.
    var isBroken: Bool { get }
    /// What was known of the history before it was made.
    var connectedAt: HistoryGuard.Floor { get }
    /// Gives it up: it is broken from then on.
    func abandon()
}
