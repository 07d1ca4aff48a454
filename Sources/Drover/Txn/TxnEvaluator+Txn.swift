extension TxnEvaluator {
    /// A read-only transaction, answered from one snapshot.
    mutating func readOnly(_ request: TxnRequest) throws -> TxnResponse {
        try txn(request)
    }

    mutating func txn(_ request: TxnRequest) throws -> TxnResponse {
        // All comparisons, nested ones too, are made before anything is applied; so are the checks that can fail.
        var path: [Bool] = []
        try choosePath(request, &path)
        // Puts are checked before ranges, as in etcd: it decides which error a client sees.
        var position = 0
        try checkPuts(request, path, &position)
        position = 0
        try checkRanges(request, path, &position)
        position = 0
        var response = try apply(request, path, &position)
        response.revision = visibleRevision
        return response
    }

    private mutating func choosePath(_ request: TxnRequest, _ path: inout [Bool]) throws {
        var holds = true
        for compare in request.compares where try !isTrue(compare) {
            holds = false
            break
        }
        path.append(holds)
        for case .txn(let nested) in holds ? request.success : request.failure {
            try choosePath(nested, &path)
        }
    }

    private mutating func isTrue(_ compare: Compare) throws -> Bool {
        if compare.range.isEmpty { return try absentKeyIsTrue(compare) }
        if compare.range.isSingle {
            let i = try entryIndex(compare.range.lower)
            guard let kv = try keyValue(ofEntry: i, values: compare.needsValue) else {
                return try absentKeyIsTrue(compare)
            }
            return compare.holds(for: kv)
        }
        var any = false
        var holds = true
        try scanNewest(compare.range, values: compare.needsValue) { row in
            any = true
            holds = compare.holds(for: row.keyValue())
            return holds
        }
        return any ? holds : try absentKeyIsTrue(compare)
    }

    private func absentKeyIsTrue(_ compare: Compare) throws -> Bool {
        // etcd: a key that does not exist has no value, so no comparison of values holds for it.
        if compare.needsValue { return false }
        return compare.holds(for: KeyValue(key: []))
    }

    private mutating func checkPuts(_ request: TxnRequest, _ path: [Bool], _ position: inout Int) throws {
        let branch = path[position] ? request.success : request.failure
        position += 1
        for operation in branch {
            switch operation {
            case .put(let put):
                if put.ignoresValue || put.ignoresLease {
                    let i = try entryIndex(put.key)
                    if entries[i].live == nil { throw DroverError(.keyNotFound) }
                }
                if put.lease != 0, try !hasLease(put.lease) { throw DroverError(.leaseNotFound) }
            case .txn(let nested):
                try checkPuts(nested, path, &position)
            case .range, .deleteRange, .missing:
                break
            }
        }
    }

    private func checkRanges(_ request: TxnRequest, _ path: [Bool], _ position: inout Int) throws {
        let branch = path[position] ? request.success : request.failure
        position += 1
        for operation in branch {
            switch operation {
            case .range(let range):
                try RangeExecution.check(revision: range.revision, current: revision, compacted: compacted)
                // Unlike a read of its own, one inside a transaction takes a negative revision for a compacted one.
                if range.revision < 0 && (compacted > 0 || range.revision < -1) { throw DroverError(.compacted) }
            case .txn(let nested):
                try checkRanges(nested, path, &position)
            case .put, .deleteRange, .missing:
                break
            }
        }
    }

    private mutating func apply(
        _ request: TxnRequest,
        _ path: [Bool],
        _ position: inout Int
    ) throws -> TxnResponse {
        let succeeded = path[position]
        position += 1
        let branch = succeeded ? request.success : request.failure
        var responses: [ResponseOperation] = []
        responses.reserveCapacity(branch.count)
        for operation in branch {
            switch operation {
            case .range(let request): responses.append(.range(try range(request)))
            case .put(let request): responses.append(.put(try put(request)))
            case .deleteRange(let request): responses.append(.deleteRange(try delete(request)))
            case .txn(let request): responses.append(.txn(try apply(request, path, &position)))
            case .missing: throw DroverError(.keyNotFound)
            }
        }
        return TxnResponse(succeeded: succeeded, responses: responses)
    }
}
