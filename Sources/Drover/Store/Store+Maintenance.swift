extension Store {
    /// Gives space that is no longer used back to the file system, as far as the backend can.
    ///
    /// On SQLite it rewrites the file and keeps writers waiting meanwhile; on PostgreSQL and MySQL it does not.
    ///
    /// - Throws: ``DroverError``.
    public func defragment() async throws {
        try await withCheckedThrowingContinuation { continuation in
            defragment { continuation.resume(with: $0) }
        }
    }

    /// As ``defragment()``. For servers.
    public func defragment(_ completion: @escaping @Sendable (Result<Void, any Error>) -> Void) {
        @Sendable func told(_ body: () throws -> Void) -> Result<Void, any Error> {
            do {
                return .success(try body())
            } catch let failure as DriverFailure {
                return .failure(failure.asDroverError)
            } catch {
                return .failure(error)
            }
        }
        if driver.isShared {
            let refused = read { reader in completion(told { try reader.defragment() }) }
            if let refused { completion(.failure(refused)) }
        } else if !committer.queue.requestUpkeep({ writer in completion(told { try writer.defragment() }) }) {
            completion(.failure(DroverError(.tooManyRequests)))
        }
    }
}
