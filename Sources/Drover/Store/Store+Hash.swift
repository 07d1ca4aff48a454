extension Store {
    /// Bytes of the log that are read in one snapshot.
    private static let hashPieceBytes = 16 << 20
    /// Rows of the log, without their values, that are read in one snapshot.
    private static let headsOfPiece = 200_000
    /// How often the hash is begun anew because a compaction has moved the mark meanwhile.
    private static let hashAttempts = 10

    /// A hash of history up to a revision; 0 is the newest. Equal on every backend, and to etcd's from 3.5.16 on, for the
    /// same history.
    ///
    /// - Throws: ``DroverError`` with `compacted` or `futureRevision`; `timeout` where compactions follow one another
    ///   faster than history can be read.
    public func hash(at revision: Int64) async throws -> HistoryHash {
        for _ in 0..<Self.hashAttempts {
            if let hash = try await hashOnce(at: revision) { return hash }
            try Task.checkCancellation()
        }
        throw DroverError(.timeout)
    }

    private func hashOnce(at wanted: Int64) async throws -> HistoryHash? {
        let (meta, isEmpty) = try await onReader { store, reader in
            defer { reader.endSnapshot() }
            let meta = try reader.beginSnapshot()
            if wanted > 0 && wanted < meta.compacted { throw DroverError(.compacted) }
            if wanted > meta.revision { throw DroverError(.futureRevision) }
            let at = wanted > 0 && wanted < meta.revision ? wanted : nil
            var isEmpty = true
            if meta.compacted > 0 {
                try reader.scan(.all, at: at, values: false, expecting: 1) { _ in
                    isEmpty = false
                    return false
                }
            }
            return (meta, isEmpty)
        }
        let revision = wanted > 0 ? wanted : meta.revision
        // etcd leaves out what lies at or below the mark and was replaced up to the revision that is asked for; where no
        // key is left at that revision, what the compaction itself has left.
        let replaced = try await replaced(in: meta, through: isEmpty ? meta.compacted : revision)
        guard let replaced else { return nil }
        var hasher = HistoryHasher(compacted: meta.compacted, revision: revision, replaced: replaced)
        var next: Int64 = 1
        while next <= revision {
            let (start, before) = (next, hasher)
            let piece: (hasher: HistoryHasher, next: Int64)? = try await piece(of: meta) { reader in
                var (hasher, bytes) = (before, 0)
                let next = try reader.logPiece(
                    from: start,
                    through: revision,
                    values: true,
                    isFull: { bytes > Self.hashPieceBytes }
                ) { row in
                    bytes += row.key.count + row.value.count + 64
                    hasher.add(row)
                }
                return (hasher, next ?? revision + 1)
            }
            guard let piece else { return nil }
            (hasher, next) = piece
        }
        return HistoryHash(
            value: hasher.value,
            revision: revision,
            compactedRevision: meta.compacted,
            currentRevision: meta.revision
        )
    }

    /// Reads a piece in a snapshot of its own; nil when a compaction has moved the mark. Between two of them the sweep may
    /// take rows away that are not counted, and nothing else changes.
    private func piece<R: Sendable>(
        of meta: StoreMeta,
        _ body: @escaping @Sendable (any DriverReader) throws -> R
    ) async throws -> R? {
        try Task.checkCancellation()
        return try await onReader { _, reader in
            defer { reader.endSnapshot() }
            guard try reader.beginSnapshot().compacted == meta.compacted else { return nil }
            return try body(reader)
        }
    }

    /// The events at or below the mark that others up to `last` have replaced.
    private func replaced(in meta: StoreMeta, through last: Int64) async throws -> Set<LogPosition>? {
        var replaced: Set<LogPosition> = []
        if meta.compacted == 0 { return replaced }
        var next = max(1, meta.swept)
        while next <= last {
            let start = next
            let piece: (positions: [LogPosition], next: Int64)? = try await piece(of: meta) { reader in
                var (positions, rows) = ([LogPosition](), 0)
                let next = try reader.logPiece(
                    from: start,
                    through: last,
                    values: false,
                    isFull: { rows > Self.headsOfPiece }
                ) { row in
                    rows += 1
                    if row.previousMain > 0 && row.previousMain <= meta.compacted {
                        positions.append(LogPosition(main: row.previousMain, sub: row.previousSub))
                    }
                }
                return (positions, next ?? last + 1)
            }
            guard let piece else { return nil }
            replaced.formUnion(piece.positions)
            next = piece.next
        }
        return replaced
    }
}
