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
    /// The log is read in the order of revisions, a piece in each snapshot of the database, up to the revision of the first of
    /// them, whose leases, users and alarms the whole shows too. What a
    /// sweep takes away was replaced at the compaction mark or before it, so that it is missed only where the mark passes what is
    /// yet to be read. So this instance does not sweep meanwhile, for some minutes at most.
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
        var first: Beginning?
        var next: Int64 = 1
        var total = SnapshotRecord.head.count
        while true {
            let start = next
            let before = first
            let (beginning, piece) = try await onReader { store, reader in
                defer { reader.endSnapshot() }
                let meta = try reader.beginSnapshot()
                if let mark = before?.meta, start < meta.compacted {
                    let isSwept =
                        store.driver.isShared
                        ? meta.compacted != mark.compacted || mark.swept < mark.compacted
                        : hold.isBroken
                    if isSwept { throw Self.sweptMeanwhile }
                }
                let beginning = try before ?? Beginning(meta, reader)
                return (beginning, try store.piece(from: start, beginning, reader))
            }
            first = beginning
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

    /// What a snapshot shows beside the log, as its first piece found it.
    private struct Beginning: Sendable {
        let meta: StoreMeta
        let leases: [LeaseRecord]
        let system: Bytes

        init(_ meta: StoreMeta, _ reader: any DriverReader) throws {
            self.meta = meta
            leases = try reader.leases().map { LeaseRecord(id: $0.id, grantedTTL: $0.state.grantedTTL) }
            system = try reader.systemState()
        }
    }

    private func piece(
        from start: Int64,
        _ beginning: Beginning,
        _ reader: any DriverReader
    ) throws -> (bytes: Bytes, next: Int64, isLast: Int64?) {
        var writer = StateWriter()
        let next = try reader.logPiece(
            from: start,
            through: beginning.meta.revision,
            values: true,
            isFull: { writer.bytes.count > Self.snapshotPieceBytes }
        ) { row in
            SnapshotRecord.event(row.event()).write(to: &writer)
        }
        if let next { return (writer.bytes, next, nil) }
        let meta = beginning.meta
        for lease in beginning.leases { SnapshotRecord.lease(lease).write(to: &writer) }
        SnapshotRecord.system(beginning.system).write(to: &writer)
        SnapshotRecord.end(revision: meta.revision, compacted: meta.compacted).write(to: &writer)
        return (writer.bytes, meta.revision + 1, meta.revision)
    }
}
