import Drover

/// Keys as they were at a revision.
extension SQLiteView {
    /// Hops that a key's chain is followed by itself while others wait already: those may lead to it as well.
    private static let hopsBesideOthers = 16

    /// Walks live and deleted keys side by side; a key whose newest event is too new is followed back.
    func scanHistory(
        _ range: KeyRange,
        at revision: Int64,
        values: Bool,
        expecting: Int,
        _ body: (RowView) throws -> Bool
    ) throws {
        let newest = revisions.id(revision + 1, 0) - 1
        // Values come with their rows, unless most are kept: a statement that is run for each costs a third of the row.
        var kept = driver.rows.scan(range, values: values, expecting: expecting)
        defer { kept?.end() }
        let isApart = kept?.isApart == true
        let joined = values && !isApart
        let join = joined ? "LEFT JOIN drover_log l ON l.id = c.id AND c.id <= ?3" : ""
        let live = """
            SELECT \(Self.currentColumns)\(joined ? ", l.value, l.id" : "")
            FROM drover_current c \(join) WHERE \(Self.condition(range, "c")) ORDER BY c.key
            """
        // A key deleted at or before the revision did not exist then.
        let dead = """
            SELECT t.key, t.id FROM drover_tombstone t WHERE \(Self.condition(range, "t")) AND t.id > ?3 ORDER BY t.key
            """
        var waiting = HistoryWindow(expecting: range.isSingle ? 1 : expecting)
        var goesOn = true
        let valueByID = try borrow(Self.valueByID)
        defer { giveBack(valueByID, Self.valueByID) }
        try withScan(live) { live in
            try withScan(dead) { dead in
                bind(range, live)
                if joined { live.bind(3, newest) }
                bind(range, dead)
                dead.bind(3, newest)
                var hasLive = try live.step()
                var hasDead = try dead.step()
                while goesOn && (hasLive || hasDead) {
                    let takesLive: Bool
                    if hasLive && hasDead {
                        takesLive = Bytes.precedes(live.bytes(0), dead.bytes(0))
                    } else {
                        takesLive = hasLive
                    }
                    let row = takesLive ? live : dead
                    var id = row.integer(1)
                    if id > newest {
                        let hops = waiting.isEmpty ? ChainSearch.firstHops : Self.hopsBesideOthers
                        id = try follow(id, of: row.bytes(0), downTo: revision, hops: hops)
                    }
                    if id > newest {
                        waiting.add(id, tooNewFor: row.bytes(0))
                    } else if !waiting.isEmpty {
                        waiting.add(id)
                    } else if takesLive && id == row.integer(1) {
                        // Nothing has changed since: of the log no more is read than the value.
                        if isApart {
                            goesOn = try lend(row, valueByID, &kept!, body)
                        } else {
                            goesOn = try lendCurrent(row, values: values) { row in
                                kept?.came(row)
                                return try body(row)
                            }
                        }
                    } else {
                        goesOn = try lend(id, values: values, body)
                    }
                    if waiting.isFull {
                        goesOn = try lend(waiting, at: revision, values: values, body)
                        waiting.clear()
                    }
                    if takesLive { hasLive = try live.step() } else { hasDead = try dead.step() }
                }
            }
        }
        if goesOn { _ = try lend(waiting, at: revision, values: values, body) }
    }

    /// Lends a key's event, unless there is none or it is a deletion; answers whether more is wanted.
    private func lend(_ id: Int64, values: Bool, _ body: (RowView) throws -> Bool) throws -> Bool {
        guard id != 0 else { return true }
        var goesOn = true
        _ = try event(id: id, values: values) { row in
            if row.version != 0 { goesOn = try body(row) }
        }
        return goesOn
    }

    /// Lends rows that waited, those whose event is far back looked for together.
    private func lend(
        _ waiting: HistoryWindow,
        at revision: Int64,
        values: Bool,
        _ body: (RowView) throws -> Bool
    ) throws -> Bool {
        var open: [Bytes: LogPosition] = [:]
        for row in waiting.rows {
            guard let key = row.key else { continue }
            let (main, sub) = revisions.position(row.id)
            open[key] = LogPosition(main: main, sub: sub)
        }
        let found = try ChainSearch.positions(of: open, at: revision) { chains, hops in
            try chains.map { chain in
                let id = try chain.key.withUnsafeBytes {
                    try follow(revisions.id(chain.from.main, chain.from.sub), of: $0, downTo: revision, hops: hops)
                }
                let (main, sub) = revisions.position(id)
                return LogPosition(main: main, sub: sub)
            }
        } readBack: { keys, rows in
            try readBack(keys, from: revision, rows: rows)
        }
        for row in waiting.rows {
            var id = row.id
            if let key = row.key { id = found[key].map { revisions.id($0.main, $0.sub) } ?? 0 }
            guard try lend(id, values: values, body) else { return false }
        }
        return true
    }

    private func follow(
        _ id: Int64,
        of key: UnsafeRawBufferPointer,
        downTo revision: Int64,
        hops: Int
    ) throws -> Int64 {
        let newest = revisions.id(revision + 1, 0) - 1
        var id = id
        for _ in 0..<hops where id > newest {
            previousByID.bind(1, id)
            defer { previousByID.reset() }
            guard try previousByID.step() else { return 0 }
            id = previousByID.integer(0)
            let created = previousByID.integer(1)
            // Created after the revision: the events between are all too new.
            if id > newest && created > revision {
                creation.bind(1, revisions.id(created, 0))
                creation.bind(2, revisions.id(created + 1, 0))
                creation.bind(3, lending: key)
                defer { creation.reset() }
                if try creation.step() { id = creation.integer(0) }
            }
        }
        return id
    }

    private func readBack(
        _ keys: [Bytes],
        from revision: Int64,
        rows: Int
    ) throws -> (found: [Bytes: LogPosition], isWhole: Bool) {
        var found: [Bytes: LogPosition] = [:]
        var open = Set(keys)
        var read = 0
        try withScan("SELECT id, key FROM drover_log WHERE id < ?1 ORDER BY id DESC LIMIT ?2") { statement in
            statement.bind(1, revisions.id(revision + 1, 0))
            statement.bind(2, Int64(rows))
            while try !open.isEmpty && statement.step() {
                read += 1
                guard let key = open.remove(Bytes(statement.bytes(1))) else { continue }
                let (main, sub) = revisions.position(statement.integer(0))
                found[key] = LogPosition(main: main, sub: sub)
            }
        }
        return (found, !open.isEmpty && read < rows)
    }
}
