import Synchronization

extension Store {
    /// Writes one key.
    ///
    /// - Throws: ``DroverError`` with etcd's codes: `emptyKey`, `keyNotFound`, `valueProvided`, `leaseProvided`,
    ///   `leaseNotFound`, `noSpace`, `keyTooLong`, and `requestTooLarge`. `timeout` and `connectionLost` mean that the outcome
    ///   is not known.
    @discardableResult
    public func put(_ request: PutRequest) async throws -> PutResponse {
        try validator.check(request)
        guard case .put(let response) = try await write(.put(request)) else { throw DroverError(.internalFault) }
        return response
    }

    /// Writes `value` under `key`.
    @discardableResult
    public func put(_ key: String, _ value: String, lease: Int64 = 0) async throws -> PutResponse {
        try await put(PutRequest(key: Bytes(key.utf8), value: Bytes(value.utf8), lease: lease))
    }

    /// Deletes keys in one revision. Deleting none is no error and no revision.
    @discardableResult
    public func delete(_ request: DeleteRangeRequest) async throws -> DeleteRangeResponse {
        try validator.check(request)
        guard case .deleteRange(let response) = try await write(.deleteRange(request)) else {
            throw DroverError(.internalFault)
        }
        return response
    }

    /// Deletes one key; false when it did not exist.
    @discardableResult
    public func delete(_ key: String) async throws -> Bool {
        try await delete(DeleteRangeRequest(KeyRange(lower: Bytes(key.utf8), upper: .single))).deleted > 0
    }

    /// Deletes the keys that begin with `prefix` in one revision, and says how many.
    @discardableResult
    public func delete(prefix: String) async throws -> Int64 {
        try await delete(DeleteRangeRequest(KeyRange(prefix: Bytes(prefix.utf8)))).deleted
    }

    /// Carries a transaction out.
    ///
    /// - Throws: ``DroverError`` with etcd's codes, among them `tooManyOperations` and `duplicateKey`.
    @discardableResult
    public func txn(_ request: TxnRequest) async throws -> TxnResponse {
        try validator.check(request)
        if request.isReadOnly {
            let caller = Store.caller
            return try await onReader { store, reader in
                try store.readOnlyTxn(request, reader, caller: caller)
            }
        }
        guard case .txn(let response) = try await write(.txn(request)) else { throw DroverError(.internalFault) }
        return response
    }

    /// Carries out `then` if every comparison holds, `otherwise` if not, in one revision.
    @discardableResult
    public func txn(
        if compares: [Compare],
        then success: [RequestOperation],
        else failure: [RequestOperation] = []
    ) async throws -> TxnResponse {
        try await txn(TxnRequest(compares: compares, success: success, failure: failure))
    }

    /// Discards history before `revision`; reading at `revision` itself stays possible.
    ///
    /// - Parameter physical: wait until the space is free for new rows.
    /// - Throws: ``DroverError`` with `compacted` or `futureRevision`.
    public func compact(to revision: Int64, physical: Bool = false) async throws {
        _ = try await write(.compact(revision: revision, physical: physical))
    }

    func write(_ operation: WriteOperation) async throws -> WriteReply {
        if operation.footprint > limits.writeBytes { throw DroverError(.requestTooLarge) }
        return try await withCheckedThrowingContinuation { continuation in
            submit([
                WriteCall(operation: operation, sink: ContinuationSink(continuation), token: 0, caller: Store.caller)
            ])
        }
    }
}

/// Resumes one caller of the asynchronous face.
private final class ContinuationSink: ReplySink {
    private let continuation: Mutex<CheckedContinuation<WriteReply, any Error>?>

    init(_ continuation: CheckedContinuation<WriteReply, any Error>) {
        self.continuation = Mutex(continuation)
    }

    func deliver(_ completions: [WriteCompletion]) {
        let waiting = continuation.withLock { continuation in
            defer { continuation = nil }
            return continuation
        }
        switch completions[0].result {
        case .success(let reply): waiting?.resume(returning: reply)
        case .failure(let error): waiting?.resume(throwing: error)
        }
    }
}
