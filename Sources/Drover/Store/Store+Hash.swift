extension Store {
    /// Bytes of the log that are read in one snapshot.
    private static let hashPieceBytes = 16 << 20
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
        let first = try await onReader { store, reader in
            defer { reader.endSnapshot() }
            let meta = try reader.beginSnapshot()
            if wanted > 0 && wanted < meta.compacted { throw DroverError(.compacted) }
            if wanted > meta.revision { throw DroverError(.futureRevision) }
            return (meta: meta, doomed: try Self.doomed(meta, reader))
        }
        let meta = first.meta
        let revision = wanted > 0 ? wanted : meta.revision
        var hasher = HistoryHasher(compacted: meta.compacted, revision: revision, doomed: first.doomed)
        var next: Int64 = 1
        while next <= revision {
            let (start, before) = (next, hasher)
            // Between two snapshots the sweep may take rows away that are not counted, and nothing else may change.
            let piece: (hasher: HistoryHasher, next: Int64)? = try await onReader { _, reader in
                defer { reader.endSnapshot() }
                guard try reader.beginSnapshot().compacted == meta.compacted else { return nil }
                var (hasher, bytes, next) = (before, 0, revision + 1)
                try reader.log(from: start, values: true) { row in
                    if row.main > revision { return false }
                    if bytes > Self.hashPieceBytes && row.sub == 0 {
                        next = row.main
                        return false
                    }
                    bytes += row.key.count + row.value.count + 64
                    hasher.add(row)
                    return true
                }
                return (hasher, next)
            }
            guard let piece else { return nil }
            hasher = piece.hasher
            next = piece.next
            try Task.checkCancellation()
        }
        return HistoryHash(
            value: hasher.value,
            revision: revision,
            compactedRevision: meta.compacted,
            currentRevision: meta.revision
        )
    }

    /// What compaction has taken away and the sweep has not: the rows that others up to the mark have replaced.
    private static func doomed(_ meta: StoreMeta, _ reader: any DriverReader) throws -> Set<LogPosition> {
        var doomed: Set<LogPosition> = []
        if meta.swept >= meta.compacted { return doomed }
        try reader.log(from: meta.swept, values: false) { row in
            if row.main > meta.compacted { return false }
            if row.previousMain > 0 { doomed.insert(LogPosition(main: row.previousMain, sub: row.previousSub)) }
            return true
        }
        return doomed
    }
}
