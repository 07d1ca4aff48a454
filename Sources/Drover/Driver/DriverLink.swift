/// The connection of an instance to a shared database for what goes on beside batches. One thread uses it.
///
/// When a call throws, the connection is as good as lost: ``reconnect()`` comes next.
public protocol DriverLink: AnyObject {
    /// Waits for at most so long, and returns sooner with true when the database says that somebody has committed. A
    /// hint: a driver whose database says nothing of the kind just waits.
    func wait(nanoseconds: Int64) throws -> Bool
    /// Reads `meta`, in one round trip.
    func poll() throws -> StoreMeta
    /// Says that this instance lives, and returns all that do.
    func heartbeat(_ own: InstanceRecord) throws -> [InstanceRecord]
    /// Gives leases their full time again, in one durable write, and returns those that exist with the time granted.
    func renew(_ leases: [Int64]) throws -> [Int64: Int64]
    /// Leases whose time is over, at most so many, with the database's clock in microseconds.
    func expired(limit: Int) throws -> (leases: [Int64], now: Int64)
    /// Gives some leases their full time again, from an id on: after a fail-over, or a jump of the database's clock.
    ///
    /// - Returns: the id to go on from; nil when there are no more.
    func rearm(from id: Int64) throws -> Int64?
    /// The number of leases.
    func leaseCount() throws -> Int
    /// Connects anew.
    func reconnect() throws
    /// Takes this instance off the list of those that live, and closes.
    func leave()
}
