extension Store {
    /// Reads keys.
    ///
    /// - Throws: ``DroverError`` with etcd's codes: `emptyKey`, `compacted`, `futureRevision`.
    public func range(_ request: RangeRequest) async throws -> RangeResponse {
        try validator.check(request)
        let caller = Store.caller
        // What is longer than any key goes by itself: it would fill a statement that others share.
        if let points, request.isPlainPoint, request.range.lower.count <= driver.maximumKeyBytes {
            let (revision, kv): (Int64, KeyValue?) = try await withCheckedThrowingContinuation {
                (continuation: CheckedContinuation<(revision: Int64, kv: KeyValue?), any Error>) in
                let call = PointCall(
                    key: request.range.lower,
                    sink: ContinuationPointSink(continuation),
                    token: 0,
                    caller: caller
                )
                if let refused = points.submit([call]) { continuation.resume(throwing: refused) }
            }
            return request.answer(kv, revision: revision)
        }
        return try await onReader(bytes: request.range.byteCount) { store, reader in
            try store.range(request, reader, caller: caller)
        }
    }

    /// Reads one key; nil when it does not exist.
    public func get(_ key: Bytes, revision: Int64 = 0) async throws -> KeyValue? {
        var request = RangeRequest(key: key)
        request.revision = revision
        return try await range(request).kvs.first
    }

    /// Reads one key; nil when it does not exist.
    public func get(_ key: String, revision: Int64 = 0) async throws -> KeyValue? {
        try await get(Bytes(key.utf8), revision: revision)
    }

    /// Reads the keys that begin with `prefix`, in key order.
    public func list(prefix: String, limit: Int64 = 0, revision: Int64 = 0) async throws -> RangeResponse {
        var request = RangeRequest(KeyRange(prefix: Bytes(prefix.utf8)))
        request.limit = limit
        request.revision = revision
        return try await range(request)
    }

    /// The store's revision, as the database has it.
    public func revision() async throws -> Int64 {
        try await onReader { _, reader in
            defer { reader.endSnapshot() }
            return try reader.beginSnapshot().revision
        }
    }

    /// The bytes the database takes, and how many of them are in use.
    public func size() async throws -> (total: Int64, inUse: Int64) {
        try await onReader { _, reader in try reader.size() }
    }

    /// - Parameter bytes: what the request holds while it waits. Default 0.
    package func onReader<R: Sendable>(
        bytes: Int = 0,
        _ body: @escaping @Sendable (Store, any DriverReader) throws -> R
    ) async throws -> R {
        try await withCheckedThrowingContinuation { continuation in
            let refused = read(bytes: bytes) { reader in
                continuation.resume(with: Result { try Store.describing { try body(self, reader) } })
            }
            if let refused { continuation.resume(throwing: refused) }
        }
    }

    /// Turns what drivers throw into the error of the public face.
    static func describing<R>(_ body: () throws -> R) throws(DroverError) -> R {
        do {
            return try body()
        } catch let error as DroverError {
            throw error
        } catch let failure as DriverFailure {
            throw failure.asDroverError
        } catch {
            throw DroverError(.internalFault, cause: error)
        }
    }

    // MARK: - On a reader's thread

    /// Reads a range in the order of its keys up to so many bytes or a little more, after which there may be more as after a
    /// limit.
    package func range(_ request: RangeRequest, upTo mostBytes: Int) async throws -> RangeResponse {
        try validator.check(request)
        let caller = Store.caller
        return try await onReader { store, reader in
            try store.range(request, reader, caller: caller, mostBytes: mostBytes)
        }
    }

    /// Carries a range request out on `reader`, collecting the keys. For servers.
    ///
    /// - Parameter mostBytes: bytes of rows after which a list in the order of keys is cut, as by a limit. Default none.
    public func range(
        _ request: RangeRequest,
        _ reader: any DriverReader,
        caller: Caller = .trusted,
        mostBytes: Int = .max
    ) throws -> RangeResponse {
        defer { reader.endSnapshot() }
        let meta = try reader.beginSnapshot()
        notice(meta)
        try authorize(meta, reader) { try $0.checkRead(request.range, caller) }
        var execution = RangeExecution(
            currentRevision: meta.revision,
            compactedRevision: meta.compacted,
            scan: { try reader.scan($0, at: $1, values: $2, expecting: $3, $4) },
            count: { try self.count($0, at: $1, meta: meta, reader) },
            mostBytes: mostBytes
        )
        let response = try execution.collect(request)
        if response.more && request.hasDefaultOrder && !request.hasRevisionFilter, let last = response.kvs.last {
            learnContinuation(
                request,
                after: last.key,
                meta: meta,
                left: response.count - Int64(response.kvs.count)
            )
        }
        return response
    }

    /// Carries a read-only transaction out on `reader`. For servers.
    ///
    /// - Throws: ``DroverError/Code/internalFault`` when it may write.
    public func readOnlyTxn(
        _ request: TxnRequest,
        _ reader: any DriverReader,
        caller: Caller = .trusted
    ) throws -> TxnResponse {
        guard request.isReadOnly else {
            throw DroverError(.internalFault, message: "drover: the transaction may write")
        }
        defer { reader.endSnapshot() }
        let meta = try reader.beginSnapshot()
        notice(meta)
        try authorize(meta, reader) { system in
            try system.check(request, caller) { try reader.keys(attachedTo: $0) }
        }
        var evaluator = TxnEvaluator(view: reader, meta: meta, leaseExists: { _ in false })
        return try evaluator.readOnly(request)
    }

    /// The number of keys of a range in a snapshot, without walking it when that is known.
    public func count(
        _ range: KeyRange,
        at revision: Int64?,
        meta: StoreMeta,
        _ reader: any DriverReader
    ) throws -> Int64 {
        guard let revision, revision < meta.revision else { return try newestCount(range, meta, reader) }
        if let known = counts.continuation(range, at: revision) ?? counts.count(range, at: revision) { return known }
        if range.isSingle { return try reader.count(range, at: revision) }
        // Keys as they are now are counted without following what each was before.
        if counts.knows(after: revision) {
            if let first = counts.unseen(before: meta.revision) { try counts.fill(from: first, meta, reader) }
            if let change = counts.change(of: range, after: revision, through: meta.revision) {
                return try newestCount(range, meta, reader) - change
            }
        }
        counts.willWalk()
        return try reader.count(range, at: revision)
    }

    private func newestCount(_ range: KeyRange, _ meta: StoreMeta, _ reader: any DriverReader) throws -> Int64 {
        if range.isSingle { return try reader.count(range, at: nil) }
        if let known = counts.count(range, at: meta.revision) { return known }
        if let first = counts.gap(before: meta.revision, of: range) {
            try counts.fill(from: first, meta, reader)
            if let known = counts.count(range, at: meta.revision) { return known }
        }
        let parts = counts.parts(of: range, at: meta.revision)
        if parts == nil { counts.willWalk() }
        let count = try (parts?.walks ?? [range]).reduce(parts?.counted ?? 0) { count, walk in
            // Pages begin anywhere and end where their prefix does: what is walked at the end is counted once.
            if walk.lower == range.lower { return try count + reader.count(walk, at: nil) }
            if let known = counts.count(walk, at: meta.revision) { return count + known }
            let walked = try reader.count(walk, at: nil)
            counts.learn(walk, at: meta.revision, count: walked)
            return count + walked
        }
        counts.learn(range, at: meta.revision, count: count)
        surveyor.start()
        return count
    }

    /// Remembers the count of what is left after a page. For servers.
    public func learnContinuation(_ request: RangeRequest, after last: Bytes, meta: StoreMeta, left: Int64) {
        let at = request.revision <= 0 ? meta.revision : request.revision
        let rest = KeyRange(
            lower: last.successor,
            upper: request.range.exclusiveEnd.map(KeyRange.Upper.before) ?? .unbounded
        )
        counts.learnContinuation(rest, at: at, count: left)
        if at == meta.revision { counts.move(request.range, to: rest, at: at, count: left) }
    }

    /// What a long list comes to, when it was measured before. For servers.
    public func measure(of subject: ListMeasure.Subject) -> ListMeasure? { counts.measure(of: subject) }

    /// Remembers what a long list comes to. For servers.
    public func learn(_ measure: ListMeasure, of subject: ListMeasure.Subject) { counts.learn(measure, of: subject) }
}
