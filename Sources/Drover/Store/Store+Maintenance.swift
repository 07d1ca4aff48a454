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
        if driver.isShared {
            return try await onReader { store, reader in
                try store.checkOpen()
                try reader.defragment()
            }
        }
        try await withCheckedThrowingContinuation { continuation in
            let queue = committer.queue
            let refused = queue.requestUpkeep { writer in
                // One that waited when the store was closed is not begun any more.
                continuation.resume(
                    with: Result {
                        if queue.isStopping { throw DroverError(.stopped) }
                        try Store.describing { try writer.defragment() }
                    }
                )
            }
            if let refused { continuation.resume(throwing: refused) }
        }
    }
}
