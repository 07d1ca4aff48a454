/// The one error type of Drover's public face.
///
/// Errors that etcd has carry etcd's own text and status; errors of ours say what was wrong and what to do. Keys and
/// values never appear in them. New codes may be added: do not switch over all of them without a default.
public struct DroverError: Error, Sendable {
    /// The kind of failure, numbered as the wire's status codes are.
    public enum Status: Int, Sendable, Hashable {
        case cancelled = 1
        case unknown = 2
        case invalidArgument = 3
        case deadlineExceeded = 4
        case notFound = 5
        case alreadyExists = 6
        case permissionDenied = 7
        case resourceExhausted = 8
        case failedPrecondition = 9
        case aborted = 10
        case outOfRange = 11
        case unimplemented = 12
        case `internal` = 13
        case unavailable = 14
        case dataLoss = 15
        case unauthenticated = 16
    }

    /// What went wrong: a status with etcd's text for it.
    public struct Code: Hashable, Sendable {
        /// The status that a client sees.
        public let status: Status
        /// The text that a client sees.
        public let text: String

        /// A code of your own, for drivers outside this package.
        public init(_ status: Status, _ text: String) {
            self.status = status
            self.text = text
        }
    }

    /// What went wrong.
    public var code: Code
    /// What to tell a person; the code's text unless there is more to say.
    public var message: String
    /// The error beneath, if any.
    public var cause: (any Error)?

    /// An error from its parts.
    public init(_ code: Code, message: String? = nil, cause: (any Error)? = nil) {
        self.code = code
        self.message = message ?? code.text
        self.cause = cause
    }
}

extension DroverError: CustomStringConvertible {
    public var description: String {
        guard let cause else { return message }
        return "\(message) (\(cause))"
    }
}

/// Source of the texts: etcd `api/v3rpc/rpctypes/error.go`.
extension DroverError.Code {
    public static let emptyKey = Self(.invalidArgument, "etcdserver: key is not provided")
    public static let keyNotFound = Self(.invalidArgument, "etcdserver: key not found")
    public static let valueProvided = Self(.invalidArgument, "etcdserver: value is provided")
    public static let leaseProvided = Self(.invalidArgument, "etcdserver: lease is provided")
    public static let tooManyOperations = Self(
        .invalidArgument,
        "etcdserver: too many operations in txn request"
    )
    public static let duplicateKey = Self(.invalidArgument, "etcdserver: duplicate key given in txn request")
    public static let invalidSortOption = Self(.invalidArgument, "etcdserver: invalid sort option")
    public static let requestTooLarge = Self(.invalidArgument, "etcdserver: request is too large")
    public static let invalidClientAPIVersion = Self(.invalidArgument, "etcdserver: invalid client api version")
    public static let compacted = Self(.outOfRange, "etcdserver: mvcc: required revision has been compacted")
    public static let futureRevision = Self(
        .outOfRange,
        "etcdserver: mvcc: required revision is a future revision"
    )
    public static let leaseTTLTooLarge = Self(.outOfRange, "etcdserver: too large lease TTL")
    public static let noSpace = Self(.resourceExhausted, "etcdserver: mvcc: database space exceeded")
    public static let tooManyRequests = Self(.resourceExhausted, "etcdserver: too many requests")
    public static let leaseNotFound = Self(.notFound, "etcdserver: requested lease not found")
    public static let memberNotFound = Self(.notFound, "etcdserver: member not found")
    public static let leaseExists = Self(.failedPrecondition, "etcdserver: lease already exists")
    public static let memberURLsInvalid = Self(.invalidArgument, "etcdserver: given member URLs are invalid")
    public static let notEnoughStartedMembers = Self(
        .failedPrecondition,
        "etcdserver: re-configuration failed due to not enough started members"
    )
    public static let memberNotLearner = Self(
        .failedPrecondition,
        "etcdserver: can only promote a learner member"
    )
    public static let badLeaderTransferee = Self(.failedPrecondition, "etcdserver: bad leader transferee")
    public static let wrongDowngradeVersionFormat = Self(
        .invalidArgument,
        "etcdserver: wrong downgrade target version format"
    )
    public static let invalidDowngradeTargetVersion = Self(
        .invalidArgument,
        "etcdserver: invalid downgrade target version"
    )
    public static let downgradeInProcess = Self(
        .failedPrecondition,
        "etcdserver: cluster has a downgrade job in progress"
    )
    public static let noInflightDowngrade = Self(.failedPrecondition, "etcdserver: no inflight downgrade job")
    public static let timeout = Self(.unavailable, "etcdserver: request timed out")
    /// etcd's when a member has lost the others (`ErrTimeoutDueToConnectionLost`); here when the database server cannot be
    /// reached or does not answer any more. As with ``timeout``, whether a write happened is not known.
    public static let connectionLost = Self(
        .unavailable,
        "etcdserver: request timed out, possibly due to connection lost"
    )
    public static let stopped = Self(.unavailable, "etcdserver: server stopped")
    public static let noLeader = Self(.unavailable, "etcdserver: no leader")
    public static let emptyWatchRange = Self(.invalidArgument, "mvcc: watcher range is empty")
    public static let duplicateWatchID = Self(
        .invalidArgument,
        "mvcc: duplicate watch ID provided on the WatchStream"
    )
    public static let watchCancelled = Self(.cancelled, "etcdserver: watch canceled")
    public static let corrupt = Self(.dataLoss, "etcdserver: corrupt cluster")

    /// A key that is longer than the backend's index can hold.
    public static let keyTooLong = Self(
        .invalidArgument,
        "drover: key is longer than the backend can hold; see docs/compatibility.md for its limit"
    )
    /// The endpoint string cannot be understood.
    public static let badEndpoint = Self(.invalidArgument, "drover: the endpoint cannot be understood")
    /// The database cannot be opened or used; the message says why and what to do.
    public static let database = Self(.unavailable, "drover: the database cannot be used")
    /// A fault of Drover itself.
    public static let internalFault = Self(.internal, "drover: internal error")
}
