extension Store {
    /// `etcdctl` believes in a checksum only where the bytes before it are whole sectors, as a file of etcd's are.
    private static let sectorBytes = 512
    /// Bytes that one snapshot of the database is held for.
    private static let snapshotPieceBytes = 1 << 20
    private static let sweptMeanwhile = DroverError(
        .init(.unavailable, "drover: a compaction has taken away what the snapshot had yet to read; take it again")
    )

    /// The state of a store, piece by piece, while writing goes on.
    ///
    /// The log is read in the order of revisions, a piece in each snapshot of the database; the piece that reaches the
    /// newest revision of its own snapshot is the last, and the whole shows the store at that revision. Rows that a sweep
    /// takes away meanwhile were replaced by later ones, which are still to come; but for deletions, without which a key that
    /// was sent would come to life again. So this instance does not sweep meanwhile, for some minutes at most.
    ///
    /// - Parameter body: is given pieces in order, which together are what ``SnapshotRestore`` reads.
    /// - Returns: the revision it shows.
    /// - Throws: ``DroverError`` of status `unavailable` when a compaction has passed it, as one can in a shared database.
    @discardableResult
    public func snapshot(_ body: (Bytes) async throws -> Void) async throws -> Int64 {
        let hold = committer.holdSweep()
        defer { hold.release() }
        try await hold.begin()
        try await body(SnapshotRecord.head)
        var first: StoreMeta?
        var next: Int64 = 1
        var total = SnapshotRecord.head.count
        while true {
            let start = next
            let before = first
            let (meta, piece) = try await onReader { store, reader in
                defer { reader.endSnapshot() }
                let meta = try reader.beginSnapshot()
                if let before, start < meta.compacted {
                    let isSwept =
                        store.driver.isShared
                        ? meta.compacted != before.compacted || before.swept < before.compacted
                        : hold.isBroken
                    if isSwept { throw Self.sweptMeanwhile }
                }
                return (meta, try store.piece(from: start, meta, reader))
            }
            if first == nil { first = meta }
            total += piece.bytes.count
            if let revision = piece.isLast {
                let padding = (Self.sectorBytes - total % Self.sectorBytes) % Self.sectorBytes
                try await body(piece.bytes + Bytes(repeating: 0, count: padding))
                return revision
            }
            try await body(piece.bytes)
            next = piece.next
        }
    }

    private func piece(
        from start: Int64,
        _ meta: StoreMeta,
        _ reader: any DriverReader
    ) throws -> (bytes: Bytes, next: Int64, isLast: Int64?) {
        var writer = StateWriter()
        let next = try reader.logPiece(
            from: start,
            through: meta.revision,
            values: true,
            isFull: { writer.bytes.count > Self.snapshotPieceBytes }
        ) { row in
            SnapshotRecord.event(row.event()).write(to: &writer)
        }
        if let next { return (writer.bytes, next, nil) }
        for lease in try reader.leases() {
            SnapshotRecord.lease(LeaseRecord(id: lease.id, grantedTTL: lease.state.grantedTTL)).write(to: &writer)
        }
        SnapshotRecord.system(try reader.systemState()).write(to: &writer)
        SnapshotRecord.end(revision: meta.revision, compacted: meta.compacted).write(to: &writer)
        return (writer.bytes, meta.revision + 1, meta.revision)
    }
}
