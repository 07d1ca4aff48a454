/// Surveys the keys for the index of counts, on the readers' threads, a piece in each snapshot.
final class CountSurveyor: Sendable {
    /// The blocks that are surveyed in one snapshot, so that none is held for long.
    private static let blocks = 64

    private let counts: CountCache
    private let readers: ReaderPool

    init(_ counts: CountCache, _ readers: ReaderPool) {
        self.counts = counts
        self.readers = readers
    }

    /// Surveys what the index does not know, unless that is being done.
    func start() {
        guard let gap = counts.beginSurvey() else { return }
        let refused = readers.submit { [self] reader in
            // What failed is tried again by the next count.
            let isInstalled = (try? survey(gap, reader)) ?? false
            counts.endSurvey()
            if isInstalled { start() }
        }
        if refused != nil { counts.endSurvey() }
    }

    private func survey(_ gap: CountIndex.Gap, _ reader: any DriverReader) throws -> Bool {
        defer { reader.endSnapshot() }
        let meta = try reader.beginSnapshot()
        var blocks: [CountIndex.Block] = []
        var rest = KeyRange(lower: gap.lower, upper: gap.upper.map(KeyRange.Upper.before) ?? .unbounded)
        while blocks.count < Self.blocks, let next = try reader.key(in: rest, after: gap.blockKeys) {
            blocks.append(.init(lower: rest.lower, keys: Int64(gap.blockKeys)))
            rest.lower = next
        }
        let isWhole = blocks.count < Self.blocks
        blocks.append(.init(lower: rest.lower, keys: isWhole ? try reader.count(rest, at: nil) : nil))
        if let first = counts.unseen(before: meta.revision) { try counts.fill(from: first, meta, reader) }
        return counts.install(blocks, at: meta.revision, in: gap)
    }
}
