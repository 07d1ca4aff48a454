extension Store {
    /// Grants a lease.
    ///
    /// - Parameters:
    ///   - ttl: seconds; less than 2 becomes 2, as in etcd.
    ///   - id: the id to use; 0 lets the store choose.
    /// - Throws: ``DroverError`` with `leaseTTLTooLarge`, `leaseExists`, or `tooManyRequests` when there are as many as
    ///   ``Limits`` allows.
    public func grantLease(ttl: Int64, id: Int64 = 0) async throws -> LeaseRecord {
        let operation = try leaseGrantOperation(id: id, ttl: ttl)
        guard case .leaseGrant(_, let lease) = try await write(operation) else { throw DroverError(.internalFault) }
        return lease
    }

    /// A grant within etcd's bounds. For servers.
    public func leaseGrantOperation(id: Int64, ttl: Int64) throws(DroverError) -> WriteOperation {
        if ttl > Lessor.maximumTTL { throw DroverError(.leaseTTLTooLarge) }
        if leaseCount >= limits.leases { throw DroverError(.tooManyRequests) }
        let chosen = id == 0 ? Int64.random(in: 1...Int64.max) : id
        return .leaseGrant(id: chosen, ttl: max(ttl, Lessor.minimumTTL))
    }

    /// Revokes a lease and deletes its keys in one revision.
    ///
    /// - Throws: ``DroverError`` with `leaseNotFound`.
    public func revokeLease(_ id: Int64) async throws {
        _ = try await write(.leaseRevoke(id: id))
    }

    /// Renews a lease; nil when it is unknown or has expired, else its time to live in seconds.
    ///
    /// - Throws: ``DroverError`` when a shared database cannot be reached; an embedded one writes nothing.
    public func keepAlive(_ id: Int64) async throws -> Int64? {
        let caller = Store.caller
        if caller != .trusted {
            _ = try await onReader { store, reader in try store.checkRenewal(id, caller, reader) }
        }
        return try await withCheckedThrowingContinuation { continuation in
            renewLease(id) { continuation.resume(with: $0) }
        }
    }

    /// Checks that the caller may renew a lease, and returns the revision. For servers, which renew it then.
    public func checkRenewal(_ id: Int64, _ caller: Caller, _ reader: any DriverReader) throws -> Int64 {
        defer { reader.endSnapshot() }
        let meta = try reader.beginSnapshot()
        try system(meta, reader)?.checkHolder(caller) { try reader.keys(attachedTo: id) }
        return meta.revision
    }

    /// As ``keepAlive(_:)`` with a completion: called before this returns, or later from another thread when the lease
    /// is just being revoked for expiry, or is a shared database's. For servers.
    public func renewLease(_ id: Int64, _ completion: @escaping @Sendable (Result<Int64?, DroverError>) -> Void) {
        if let sharedLeases { return sharedLeases.renew(id, completion) }
        switch lessor!.renew(id, resume: { completion($0.map { .failure($0) } ?? .success(nil)) }) {
        case .renewed(let ttl): completion(.success(ttl))
        case .unknown: completion(.success(nil))
        case .stopped: completion(.failure(DroverError(.stopped)))
        case .tooMany: completion(.failure(DroverError(.tooManyRequests)))
        case .expiring: break
        }
    }

    /// The seconds left and granted of a lease; nil when it is unknown.
    public func timeToLive(_ id: Int64) async throws -> (remaining: Int64, granted: Int64)? {
        if let lessor {
            try checkOpen()
            return lessor.timeToLive(id)
        }
        return try await onReader { store, reader in
            defer { reader.endSnapshot() }
            _ = try reader.beginSnapshot()
            return try store.timeToLive(id, reader)
        }
    }

    /// As ``timeToLive(_:)`` within a snapshot. For servers.
    public func timeToLive(_ id: Int64, _ reader: any DriverReader) throws -> (remaining: Int64, granted: Int64)? {
        if let lessor { return lessor.timeToLive(id) }
        return try reader.lease(id).map { ($0.remaining, $0.grantedTTL) }
    }

    /// All leases, those that expire first in front.
    public func leases() async throws -> [Int64] {
        if let lessor {
            try checkOpen()
            return lessor.all()
        }
        return try await onReader { store, reader in
            defer { reader.endSnapshot() }
            _ = try reader.beginSnapshot()
            return try store.leases(reader)
        }
    }

    /// As ``leases()`` within a snapshot. For servers.
    public func leases(_ reader: any DriverReader) throws -> [Int64] {
        try lessor?.all() ?? reader.leases().map(\.id)
    }

    /// The keys attached to a lease, in key order.
    public func keys(attachedTo id: Int64) async throws -> [Bytes] {
        try await onReader { _, reader in
            defer { reader.endSnapshot() }
            _ = try reader.beginSnapshot()
            return try reader.keys(attachedTo: id)
        }
    }
}
