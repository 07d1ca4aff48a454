/// The answer to a ``WriteOperation``.
public enum WriteReply: Sendable {
    case put(PutResponse)
    case deleteRange(DeleteRangeResponse)
    case txn(TxnResponse)
    case compact(revision: Int64)
    case leaseGrant(revision: Int64, lease: LeaseRecord)
    case leaseRevoke(revision: Int64)
    /// With the alarms that were raised or disarmed.
    case system(revision: Int64, alarms: [Alarm])
}

/// An answer on its way to its caller.
public struct WriteCompletion: Sendable {
    /// The number that the caller gave the call.
    public var token: UInt64
    /// The answer, or why there is none.
    public var result: Result<WriteReply, DroverError>
}

/// Where answers go. One call per sink and batch, so that a batch costs each event loop one hop.
public protocol ReplySink: AnyObject, Sendable {
    /// Takes the answers of one batch, in the order of the calls. Called on the committer's thread, or, for what
    /// cannot be queued, on the caller's before the call returns; must not block.
    func deliver(_ completions: [WriteCompletion])
}

/// A call with where its answer goes.
public struct WriteCall: Sendable {
    /// What to do.
    public var operation: WriteOperation
    /// Where the answer goes.
    public var sink: any ReplySink
    /// What the answer carries back.
    public var token: UInt64
    /// On whose behalf it is made.
    public var caller: Caller
    /// When it was queued, in nanoseconds of the monotonic clock.
    var queuedAt: Int64 = 0

    /// A call from its parts.
    public init(operation: WriteOperation, sink: any ReplySink, token: UInt64, caller: Caller = .trusted) {
        self.operation = operation
        self.caller = caller
        self.sink = sink
        self.token = token
    }
}
