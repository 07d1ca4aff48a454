/// The checks a request passes before it queues, in etcd's order and with etcd's errors.
///
/// Source: etcd `server/etcdserver/api/v3rpc/key.go`.
public struct RequestValidator: Sendable {
    /// How many times that many operations a transaction has with those in it: each is compared with others.
    static let nestedTimes = 32

    /// The most operations in each list of a transaction.
    public var maximumTxnOperations: Int
    /// The longest key the backend can hold, in bytes.
    public var maximumKeyBytes: Int

    /// A validator with the given limits.
    public init(maximumTxnOperations: Int, maximumKeyBytes: Int) {
        self.maximumTxnOperations = maximumTxnOperations
        self.maximumKeyBytes = maximumKeyBytes
    }

    /// The most operations of a transaction with those of all that are in it.
    public var maximumNestedOperations: Int {
        let (most, isTooMany) = maximumTxnOperations.multipliedReportingOverflow(by: Self.nestedTimes)
        return isTooMany ? .max : most
    }

    /// Checks a range request.
    public func check(_ request: RangeRequest) throws(DroverError) {
        if request.range.lower.isEmpty { throw DroverError(.emptyKey) }
        if request.hasInvalidSort { throw DroverError(.invalidSortOption) }
    }

    /// Checks a put request.
    public func check(_ request: PutRequest) throws(DroverError) {
        if request.key.isEmpty { throw DroverError(.emptyKey) }
        if request.ignoresValue && !request.value.isEmpty { throw DroverError(.valueProvided) }
        if request.ignoresLease && request.lease != 0 { throw DroverError(.leaseProvided) }
        if request.key.count > maximumKeyBytes { throw DroverError(.keyTooLong) }
    }

    /// Checks a delete request.
    public func check(_ request: DeleteRangeRequest) throws(DroverError) {
        if request.range.lower.isEmpty { throw DroverError(.emptyKey) }
    }

    /// Checks a transaction with everything nested in it.
    public func check(_ request: TxnRequest) throws(DroverError) {
        var left = maximumNestedOperations
        try count(request, &left)
        try check(request, budget: maximumTxnOperations)
        if request.success.count > 1 || request.failure.count > 1 || request.hasNested {
            _ = try checkIntervals(request.success)
            _ = try checkIntervals(request.failure)
        }
    }

    private func count(_ request: TxnRequest, _ left: inout Int) throws(DroverError) {
        left -= request.compares.count + request.success.count + request.failure.count
        if left < 0 { throw DroverError(.tooManyOperations) }
        for case .txn(let nested) in request.success { try count(nested, &left) }
        for case .txn(let nested) in request.failure { try count(nested, &left) }
    }

    // Every level subtracts its own count from the budget, so that depth is bounded too.
    private func check(_ request: TxnRequest, budget: Int) throws(DroverError) {
        let operations = max(request.compares.count, request.success.count, request.failure.count)
        if operations > budget { throw DroverError(.tooManyOperations) }
        for compare in request.compares where compare.range.lower.isEmpty { throw DroverError(.emptyKey) }
        for operation in request.success { try check(operation, budget: budget - operations) }
        for operation in request.failure { try check(operation, budget: budget - operations) }
    }

    private func check(_ operation: RequestOperation, budget: Int) throws(DroverError) {
        switch operation {
        case .range(let request): try check(request)
        case .put(let request): try check(request)
        case .deleteRange(let request): try check(request)
        case .txn(let request): try check(request, budget: budget)
        case .missing: throw DroverError(.keyNotFound)
        }
    }

    private struct Footprint {
        var puts: Set<Bytes> = []
        var deletions: [KeyRange] = []

        func deletes(_ key: Bytes) -> Bool { deletions.contains { $0.contains(key) } }
    }

    // A key may be put once, and not within a deletion, on any path; then and else of one nested transaction exclude
    // each other and may share keys.
    private func checkIntervals(_ operations: [RequestOperation]) throws(DroverError) -> Footprint {
        var seen = Footprint()
        for case .deleteRange(let request) in operations where !request.range.isEmpty {
            // etcd reads the one-byte end of an open range literally here, so that it overlaps nothing.
            if request.range.upper == .unbounded { continue }
            seen.deletions.append(request.range)
        }
        for case .txn(let request) in operations {
            let onSuccess = try checkIntervals(request.success)
            let onFailure = try checkIntervals(request.failure)
            for key in onSuccess.puts {
                if seen.puts.contains(key) || seen.deletes(key) { throw DroverError(.duplicateKey) }
            }
            for key in onFailure.puts {
                if seen.puts.contains(key) || seen.deletes(key) { throw DroverError(.duplicateKey) }
            }
            seen.puts.formUnion(onSuccess.puts)
            seen.puts.formUnion(onFailure.puts)
            seen.deletions += onSuccess.deletions
            seen.deletions += onFailure.deletions
        }
        for case .put(let request) in operations {
            if seen.puts.contains(request.key) || seen.deletes(request.key) { throw DroverError(.duplicateKey) }
            seen.puts.insert(request.key)
        }
        return seen
    }
}

extension TxnRequest {
    var hasNested: Bool {
        for operation in success { if case .txn = operation { return true } }
        for operation in failure { if case .txn = operation { return true } }
        return false
    }
}
