/// Looks through a database for what must never be: the log against the live keys, each event against the one before it,
/// leases, and gaps. Reads alone; nobody may write meanwhile.
public struct StoreCheck {
    /// Something that is wrong, in words, with the place in the log but without keys or values.
    public struct Finding: Sendable, Hashable, CustomStringConvertible {
        public var description: String
    }

    /// What was looked at, and what was found.
    public struct Report: Sendable, Hashable {
        /// The store's revision.
        public var revision: Int64 = 0
        /// The compaction mark.
        public var compacted: Int64 = 0
        /// Live keys.
        public var keys = 0
        /// Events of the log.
        public var events = 0
        /// Leases.
        public var leases = 0
        /// What is wrong; at most ``StoreCheck/mostFindings``, and whether there is more.
        public var findings: [Finding] = []
        public var hasMore = false
    }

    /// Findings that are kept: a database that is damaged in one way is mostly damaged so in many places.
    public static let mostFindings = 100
    /// Rows that are looked at together.
    private static let pieceRows = 1_000

    private let reader: any DriverReader
    private var report = Report()
    private var leases: Set<Int64> = []
    /// Live keys of each lease.
    private var attached: [Int64: Int] = [:]

    /// - Parameter reader: of a driver whose writer was opened before, as every reader's.
    public init(_ reader: any DriverReader) { self.reader = reader }

    /// Looks through all of it.
    ///
    /// - Throws: ``DriverFailure`` when the database cannot be read.
    public mutating func run() throws -> Report {
        let meta = try reader.beginSnapshot()
        defer { reader.endSnapshot() }
        report.revision = meta.revision
        report.compacted = meta.compacted
        if meta.compacted > meta.revision {
            find("the compaction mark \(meta.compacted) is beyond revision \(meta.revision)")
        }
        if meta.swept > meta.compacted {
            find("the sweep is at \(meta.swept), beyond the compaction mark \(meta.compacted)")
        }
        if meta.purged > meta.compacted { find("events are gone up to \(meta.purged), beyond the compaction mark") }
        do {
            _ = try SystemState(decoding: try reader.systemState())
        } catch let failure as DriverFailure {
            find(failure.message)
        }
        leases = Set(try reader.leases().map(\.id))
        report.leases = leases.count
        try checkKeys()
        try checkAttached()
        try checkLog(meta)
        for words in try reader.faults(limit: Self.mostFindings) { find(words) }
        return report
    }

    private mutating func find(_ words: String) {
        if report.findings.count < Self.mostFindings {
            report.findings.append(Finding(description: words))
        } else {
            report.hasMore = true
        }
    }

    // MARK: - Live keys against the log

    private struct Live {
        var key: Bytes
        var main, sub, createRevision, version, lease: Int64
        var length: Int
    }

    private mutating func checkKeys() throws {
        var from = KeyRange(lower: [], upper: .unbounded)
        while true {
            var piece: [Live] = []
            try reader.scan(from, at: nil, values: false, expecting: Self.pieceRows) { row in
                piece.append(
                    Live(
                        key: Bytes(row.key),
                        main: row.main,
                        sub: row.sub,
                        createRevision: row.createRevision,
                        version: row.version,
                        lease: row.lease,
                        length: row.valueLength
                    )
                )
                return piece.count < Self.pieceRows
            }
            report.keys += piece.count
            for live in piece where live.lease != 0 { attached[live.lease, default: 0] += 1 }
            try check(piece)
            guard piece.count == Self.pieceRows, let last = piece.last else { break }
            from.lower = last.key.successor
        }
        let counted = try reader.count(KeyRange(lower: [], upper: .unbounded), at: nil)
        if counted != report.keys { find("\(report.keys) live keys were found where \(counted) are counted") }
    }

    /// What a lease deletes when it ends is found by an index of its own.
    private mutating func checkAttached() throws {
        var wrong: [String] = []
        try reader.forEachAttached(to: Array(leases)) { lease, keys in
            let count = attached[lease] ?? 0
            if keys.count != count {
                wrong.append("a lease has \(count) keys, but \(keys.count) would be deleted with it")
            }
        }
        for words in wrong { find(words) }
    }

    private mutating func check(_ piece: [Live]) throws {
        var seen = [Bool](repeating: false, count: piece.count)
        var wrong: [String] = []
        try reader.events(piece.map { LogPosition(main: $0.main, sub: $0.sub) }) { place, row in
            seen[place] = true
            let live = piece[place]
            let at = "revision \(live.main), event \(live.sub)"
            if Bytes(row.key) != live.key { wrong.append("a live key points to \(at), which is another key's") }
            if row.version != live.version || row.createRevision != live.createRevision || row.lease != live.lease {
                wrong.append("a live key and its event at \(at) differ in version, create revision or lease")
            }
            if row.value.count != live.length {
                wrong.append(
                    "the value at \(at) has \(row.value.count) bytes, not the \(live.length) that its key says"
                )
            }
        }
        for words in wrong { find(words) }
        for (live, isThere) in zip(piece, seen) {
            if !isThere {
                find("a live key's event at revision \(live.main), event \(live.sub) is missing from the log")
            }
            if live.lease != 0 && !leases.contains(live.lease) {
                find("a key written at revision \(live.main) hangs on a lease that does not exist")
            }
        }
    }

    // MARK: - The log

    private struct Entry {
        var key: Bytes
        var main, sub, createRevision, version, previousMain, previousSub: Int64
    }

    private mutating func checkLog(_ meta: StoreMeta) throws {
        var next: Int64 = 1
        var last = (main: meta.compacted, sub: Int64(0))
        while next <= meta.revision {
            var piece: [Entry] = []
            let following = try reader.logPiece(
                from: next,
                through: .max,
                values: false,
                isFull: { piece.count >= Self.pieceRows }
            ) { row in
                piece.append(
                    Entry(
                        key: Bytes(row.key),
                        main: row.main,
                        sub: row.sub,
                        createRevision: row.createRevision,
                        version: row.version,
                        previousMain: row.previousMain,
                        previousSub: row.previousSub
                    )
                )
            }
            report.events += piece.count
            for entry in piece { checkOrder(entry, meta, &last) }
            try checkPrevious(piece, meta)
            try checkHeads(piece)
            next = following ?? meta.revision + 1
        }
        if last.main < meta.revision && meta.revision > max(1, meta.compacted) {
            find("revisions \(max(last.main, 1) + 1) to \(meta.revision) are missing from the log")
        }
    }

    private mutating func checkOrder(_ entry: Entry, _ meta: StoreMeta, _ last: inout (main: Int64, sub: Int64)) {
        let at = "revision \(entry.main), event \(entry.sub)"
        if entry.main > meta.revision { find("\(at) is beyond the store's revision \(meta.revision)") }
        if entry.version == 1 && entry.createRevision != entry.main { find("\(at) is a creation of another revision") }
        if entry.version > 1 && entry.createRevision >= entry.main && entry.previousMain != entry.main {
            find("\(at) was created after it was changed")
        }
        // Up to the mark rows may be gone; from there on there is every one. Revision 1 is the empty store's.
        if entry.main <= meta.compacted { return }
        if entry.main == last.main {
            if entry.sub != last.sub + 1 && last.main > meta.compacted { find("events before \(at) are missing") }
        } else {
            if entry.main != max(last.main, 1) + 1 {
                find("revisions \(max(last.main, 1) + 1) to \(entry.main - 1) are missing from the log")
            }
            if entry.sub != 0 { find("events before \(at) are missing") }
        }
        last = (entry.main, entry.sub)
    }

    private mutating func checkPrevious(_ piece: [Entry], _ meta: StoreMeta) throws {
        // What was replaced at the mark or before it may have been swept; what was replaced later is read at the mark yet.
        func mustFollow(_ entry: Entry) -> Bool { entry.main > meta.compacted && entry.version != 1 }
        let linked = piece.filter { $0.previousMain > meta.compacted || $0.previousMain != 0 && mustFollow($0) }
        for entry in piece where entry.previousMain == 0 && mustFollow(entry) {
            find("revision \(entry.main), event \(entry.sub) names none as the one before it")
        }
        for entry in piece where entry.previousMain > entry.main {
            find("revision \(entry.main), event \(entry.sub) names a later one as the one before it")
        }
        var seen = [Bool](repeating: false, count: linked.count)
        var wrong: [String] = []
        try reader.events(linked.map { LogPosition(main: $0.previousMain, sub: $0.previousSub) }) { place, row in
            seen[place] = true
            let entry = linked[place]
            let at = "revision \(entry.main), event \(entry.sub)"
            if Bytes(row.key) != entry.key { wrong.append("\(at) names another key's event as the one before it") }
            let follows = entry.version == 0 ? row.version > 0 : entry.version == row.version + 1
            if !follows {
                wrong.append("\(at) does not follow the one before it: version \(entry.version) after \(row.version)")
            }
        }
        for words in wrong { find(words) }
        for (entry, isThere) in zip(linked, seen) where !isThere {
            find("the event before revision \(entry.main), event \(entry.sub) is missing from the log")
        }
    }

    /// No event may be newer than what the key's row says.
    private mutating func checkHeads(_ piece: [Entry]) throws {
        let states = try reader.states(of: piece.map(\.key))
        for (entry, state) in zip(piece, states) {
            let at = "revision \(entry.main), event \(entry.sub)"
            guard let state else {
                // A deletion that was swept takes its row with it; what is left of the key before it goes in the same sweep.
                if entry.version > 0 { find("the key of \(at) is neither live nor deleted") }
                continue
            }
            if (state.main, state.sub) < (entry.main, entry.sub) { find("\(at) is newer than what its key says") }
        }
    }
}
