extension Store {
    /// Takes a lock, once all who asked for it before have given it up, or lost it. Clients of etcd's Lock service, and of
    /// `concurrency.Mutex` in its Go client, take the same lock by the same name.
    ///
    /// A lock is held with a lease and passes on when that ends. A lease stands for one contender: who has the lock already with
    /// the same lease is given it again, and tasks that wait with one lease share its place. Where the task is cancelled while it
    /// waits, or anything else ends its wait, that place is given up.
    ///
    /// Source: etcd `server/etcdserver/api/v3lock`, `client/v3/concurrency/mutex.go`.
    ///
    /// - Parameters:
    ///   - name: the keys of those who want it are below it and `/`.
    ///   - lease: the holder's, which the holder keeps alive; 0 grants one of 60 seconds that nobody does.
    /// - Throws: ``DroverError`` with `leaseNotFound`; of status `unknown` where its place was lost while it waited, with the lease or
    ///   by another task; what ``txn(_:)``
    ///   and ``watch(_:)`` throw; `CancellationError`.
    public func lock(_ name: Bytes, lease: Int64) async throws -> HeldLock {
        let queue = ContenderQueue(self, name: name)
        let lease = try await queue.session(lease)
        let key = queue.key(lease: lease)
        let reply = try await txn(
            TxnRequest(
                compares: [Compare(key: key, .createRevision(0))],
                success: [.put(PutRequest(key: key, value: [], lease: lease)), .range(queue.owner)],
                failure: [.range(RangeRequest(key: key)), .range(queue.owner)]
            )
        )
        var created = reply.revision
        if !reply.succeeded, case .range(let found) = reply.responses[0], let kv = found.kvs.first {
            created = kv.createRevision
        }
        if case .range(let owner) = reply.responses[1], owner.kvs.isEmpty || owner.kvs[0].createRevision == created {
            return HeldLock(key: key, createRevision: created, revision: reply.revision)
        }
        let own: RangeResponse
        do {
            try await queue.waitForOlder(than: created)
            own = try await range(RangeRequest(key: key))
        } catch {
            await queue.withdraw(key)
            throw error
        }
        // The lease may have ended while it waited.
        if own.kvs.isEmpty { throw DroverError(.init(.unknown, "mutex: session is expired")) }
        return HeldLock(key: key, createRevision: created, revision: own.revision)
    }

    /// As ``lock(_:lease:)`` of bytes.
    public func lock(_ name: String, lease: Int64) async throws -> HeldLock {
        try await lock(Bytes(name.utf8), lease: lease)
    }

    /// Gives a lock up, so that the next has it. One that is not held any more is left as it is, also where the same lease has
    /// taken it anew.
    ///
    /// - Returns: whether it was held until now.
    /// - Throws: what ``txn(_:)`` throws.
    @discardableResult
    public func unlock(_ lock: HeldLock) async throws -> Bool {
        let release = RequestOperation.deleteRange(DeleteRangeRequest(key: lock.key))
        return try await txn(TxnRequest(compares: [lock.isHeld], success: [release])).succeeded
    }
}
