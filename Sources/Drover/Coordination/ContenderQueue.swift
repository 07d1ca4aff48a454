/// What etcd's Lock and Election have in common: each contender puts a key of its own under one prefix, attached to its
/// lease, and the one whose key was created first is the owner. Source: etcd `client/v3/concurrency`.
package struct ContenderQueue: Sendable {
    /// Seconds that a lease lives which the server grants for a contender that brought none; nobody keeps it alive.
    static let sessionSeconds: Int64 = 60

    let store: Store
    package let prefix: Bytes

    package init(_ store: Store, name: Bytes) {
        self.store = store
        prefix = name + [UInt8(ascii: "/")]
    }

    /// The contender's key.
    package func key(lease: Int64) -> Bytes { prefix + Array(String(lease, radix: 16).utf8) }

    /// The contender's lease, granted here when it brought none.
    package func session(_ lease: Int64) async throws -> Int64 {
        lease != 0 ? lease : try await store.grantLease(ttl: Self.sessionSeconds).id
    }

    /// The key that was created first.
    package var owner: RangeRequest {
        var request = RangeRequest(KeyRange(prefix: prefix))
        request.sortTarget = .create
        request.sortOrder = .ascend
        request.limit = 1
        return request
    }

    /// Waits until no key under the prefix is older than `revision`.
    ///
    /// - Throws: `CancellationError` when the call is over.
    package func waitForOlder(than revision: Int64) async throws {
        var newest = RangeRequest(KeyRange(prefix: prefix))
        newest.sortTarget = .create
        newest.sortOrder = .descend
        newest.limit = 1
        newest.maxCreateRevision = revision - 1
        while true {
            try Task.checkCancellation()
            let reply = try await store.range(newest)
            guard let older = reply.kvs.first else { return }
            try await waitForDeletion(older.key, from: reply.revision)
        }
    }

    private func waitForDeletion(_ key: Bytes, from revision: Int64) async throws {
        let request = WatchRequest(KeyRange(lower: key, upper: .single), startRevision: revision)
        for try await batch in try await store.watch(request) {
            if batch.events.contains(where: { $0.kind == .delete }) { return }
        }
        try Task.checkCancellation()
        try store.checkOpen()
        throw DroverError(.init(.unknown, "lost watcher waiting for delete"))
    }

    /// Gives a contender's key up, also when the call itself is over.
    package func withdraw(_ key: Bytes) async {
        _ = try? await Task { [store] in try await store.delete(DeleteRangeRequest(key: key)) }.value
    }
}
