/// Conditions, and what is done when all of them hold or not, in one revision. Source: etcd `TxnRequest`.
public struct TxnRequest: Hashable, Sendable {
    /// The conditions; none at all hold.
    public var compares: [Compare]
    /// What is done when every condition holds.
    public var success: [RequestOperation]
    /// What is done otherwise.
    public var failure: [RequestOperation]

    /// A transaction from its parts.
    public init(compares: [Compare] = [], success: [RequestOperation] = [], failure: [RequestOperation] = []) {
        self.compares = compares
        self.success = success
        self.failure = failure
    }

    /// Whether it only reads, by etcd's rule: a nested transaction counts as a write.
    public var isReadOnly: Bool {
        let reads = { (op: RequestOperation) in
            if case .range = op { return true }
            return false
        }
        return success.allSatisfy(reads) && failure.allSatisfy(reads)
    }
}

/// One step of a transaction.
public enum RequestOperation: Hashable, Sendable {
    case range(RangeRequest)
    case put(PutRequest)
    case deleteRange(DeleteRangeRequest)
    indirect case txn(TxnRequest)
    /// An operation that names no request, as a client of the wire may send it; it is refused.
    case missing
}

/// The answer to a ``TxnRequest``.
public struct TxnResponse: Hashable, Sendable {
    /// The revision after the transaction; 0 in the answer of a nested one, as in etcd.
    public var revision: Int64
    /// Whether the conditions held.
    public var succeeded: Bool
    /// One answer for each step of the chosen branch.
    public var responses: [ResponseOperation]

    /// An answer from its parts.
    public init(revision: Int64 = 0, succeeded: Bool, responses: [ResponseOperation] = []) {
        self.revision = revision
        self.succeeded = succeeded
        self.responses = responses
    }
}

/// The answer to one step of a transaction.
public enum ResponseOperation: Hashable, Sendable {
    case range(RangeResponse)
    case put(PutResponse)
    case deleteRange(DeleteRangeResponse)
    indirect case txn(TxnResponse)
}
