extension Store {
    /// Gives space that is no longer used back to the file system, as far as the backend can.
    ///
    /// On SQLite it rewrites the file and keeps writers waiting meanwhile; on PostgreSQL and MySQL it does not. It may
    /// take minutes, and goes on when the task is cancelled.
    ///
    /// - Throws: ``DroverError`` with ``DroverError/Code/tooManyRequests`` when many of these wait already, and what the
    ///   database's failure comes to.
    public func defragment() async throws {
        try await rewrite()
        // Who disarms the quota's alarm next is to find what is free now.
        if quota.bytes > 0 {
            try? await onReader { store, reader in store.quota.measured(try reader.size().total) }
        }
    }

    private func rewrite() async throws {
        if driver.isShared { return try await onReader { _, reader in try reader.defragment() } }
        try await withCheckedThrowingContinuation { continuation in
            let refused = committer.queue.requestUpkeep { writer in
                continuation.resume(with: Result { try Store.describing { try writer.defragment() } })
            }
            if let refused { continuation.resume(throwing: refused) }
        }
    }
}
