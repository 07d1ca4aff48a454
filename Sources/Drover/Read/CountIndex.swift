/// The keys of the newest state in blocks of some hundred, with how many keys each has: a range is counted by walking
/// its two ends alone.
///
/// Blocks are counted by a survey and moved along by the creations and deletions since, so that all counts hold for one
/// revision. What was not surveyed yet is a block whose count is not known.
struct CountIndex {
    struct Block {
        var lower: Bytes
        /// How many keys there are from `lower` to where the next block begins; nil before they were surveyed.
        var keys: Int64?
    }

    /// How the count of a range is put together.
    struct Parts: Equatable {
        /// The keys of the blocks that are wholly in the range.
        var counted: Int64
        /// What is to be walked besides.
        var walks: [KeyRange]
    }

    /// What is to be surveyed: from a block's beginning to where the next one begins.
    struct Gap: Equatable, Sendable {
        var lower: Bytes
        var upper: Bytes?
        /// The keys that a block should have.
        var blockKeys: Int
    }

    /// The blocks, in key order; the first begins where keys begin.
    private(set) var blocks = [Block(lower: KeyRange.all.lower, keys: nil)]
    /// The revision that the counts hold for.
    var revision: Int64
    /// The keys that a block has when it is surveyed. One that has four times as many is surveyed again.
    private(set) var blockKeys: Int
    /// Whether a block is to be surveyed.
    private(set) var isUneven = true

    private let maximumBlocks: Int
    private let maximumBytes: Int
    private var lowerBytes = 1
    /// Where the last change was: keys that are made one after the other are neighbours.
    private var lastPlace = 0

    init(revision: Int64, limits: Limits) {
        self.revision = revision
        blockKeys = limits.countBlockKeys
        maximumBlocks = limits.countBlocks
        maximumBytes = limits.countBlockBytes
    }

    /// An index of what a survey found, to be moved along before it is installed in another.
    init(_ surveyed: [Block], revision: Int64, limits: Limits) {
        self.init(revision: revision, limits: limits)
        blocks = surveyed
    }

    /// Forgets every count.
    mutating func reset(revision: Int64) {
        blocks = [Block(lower: KeyRange.all.lower, keys: nil)]
        lowerBytes = 1
        lastPlace = 0
        isUneven = true
        self.revision = revision
    }

    /// The block that `key` is in.
    private func place(of key: Bytes) -> Int {
        var low = 0
        var high = blocks.count
        while high - low > 1 {
            let middle = (low + high) / 2
            if Bytes.precedes(key, blocks[middle].lower) { high = middle } else { low = middle }
        }
        return low
    }

    /// A key was created (1) or deleted (-1).
    mutating func apply(_ change: Int64, to key: Bytes) {
        let next = lastPlace + 1
        let isThere =
            !Bytes.precedes(key, blocks[lastPlace].lower)
            && (next == blocks.count || Bytes.precedes(key, blocks[next].lower))
        if !isThere { lastPlace = place(of: key) }
        guard let keys = blocks[lastPlace].keys else { return }
        blocks[lastPlace].keys = keys + change
        if keys + change > 4 * blockKeys { isUneven = true }
    }

    // MARK: - Counting

    /// The blocks that are wholly in `range`, and those it touches.
    private func places(of range: KeyRange) -> (touched: Range<Int>, whole: Range<Int>) {
        let first = place(of: range.lower)
        var last = blocks.count - 1
        var endsWhole = true
        if let end = range.exclusiveEnd {
            last = place(of: end)
            if blocks[last].lower == end, last > first { last -= 1 } else { endsWhole = false }
        }
        let low = Bytes.precedes(blocks[first].lower, range.lower) ? first + 1 : first
        let high = endsWhole ? last + 1 : last
        return (first..<max(first, last) + 1, low..<max(low, high))
    }

    /// How the count of `range` at the index's revision is put together; nil when the index is of no help.
    func parts(of range: KeyRange) -> Parts? {
        guard !range.isEmpty else { return nil }
        let (touched, whole) = places(of: range)
        var parts = Parts(counted: 0, walks: [])
        var isHelped = false
        for place in touched {
            if whole.contains(place), let keys = blocks[place].keys {
                parts.counted += keys
                isHelped = true
                continue
            }
            let isLast = place + 1 == touched.upperBound
            let upper = isLast ? range.upper : .before(blocks[place + 1].lower)
            let lower = place == touched.lowerBound ? range.lower : blocks[place].lower
            if let last = parts.walks.last, last.upper == .before(lower) {
                parts.walks[parts.walks.count - 1].upper = upper
            } else {
                parts.walks.append(KeyRange(lower: lower, upper: upper))
            }
        }
        return isHelped ? parts : nil
    }

    /// What changes among the keys that ``parts(of:)`` has counted, not walked, for `range`.
    func change(in range: KeyRange, of deltas: some Sequence<CountDelta>) -> Int64 {
        let whole = places(of: range).whole
        var change: Int64 = 0
        for delta in deltas {
            let place = place(of: delta.key)
            if whole.contains(place), blocks[place].keys != nil { change += delta.change }
        }
        return change
    }

    // MARK: - Surveys

    /// What is to be surveyed next; nil when no block has too many keys.
    mutating func nextGap() -> Gap? {
        guard isUneven else { return nil }
        let most = Int64(4 * blockKeys)
        guard let place = blocks.firstIndex(where: { ($0.keys ?? .max) > most }) else {
            isUneven = false
            return nil
        }
        let next = place + 1
        return Gap(
            lower: blocks[place].lower,
            upper: next < blocks.count ? blocks[next].lower : nil,
            blockKeys: blockKeys
        )
    }

    /// Puts what a survey found, moved along to the index's revision, into the place of the block it was of;
    /// false when that is no more.
    mutating func install(_ surveyed: [Block], in gap: Gap) -> Bool {
        let place = place(of: gap.lower)
        let next = place + 1
        guard blocks[place].lower == gap.lower, next < blocks.count ? blocks[next].lower == gap.upper : gap.upper == nil
        else { return false }
        blocks.replaceSubrange(place...place, with: surveyed)
        lowerBytes += surveyed.reduce(0) { $0 + $1.lower.count } - gap.lower.count
        lastPlace = 0
        shrink()
        return true
    }

    /// Joins neighbours until there are no more than the limits allow.
    private mutating func shrink() {
        while blocks.count > maximumBlocks || lowerBytes > maximumBytes, blocks.count > 1 {
            var joined: [Block] = []
            for block in blocks {
                if let last = joined.last?.keys, let keys = block.keys, last + keys <= Int64(blockKeys) {
                    joined[joined.count - 1].keys = last + keys
                } else {
                    joined.append(block)
                }
            }
            blocks = joined
            lowerBytes = blocks.reduce(0) { $0 + $1.lower.count }
            if blocks.count > maximumBlocks / 2 || lowerBytes > maximumBytes / 2 { blockKeys *= 2 }
            if blockKeys > 1 << 40 { return reset(revision: revision) }
        }
    }
}
