import Drover

/// Keys as they were at a revision.
extension SQLiteView {
    /// Walks live and deleted keys side by side; a key whose newest event is too new is followed back.
    func scanHistory(
        _ range: KeyRange,
        at revision: Int64,
        values: Bool,
        _ body: (RowView) throws -> Bool
    ) throws {
        let newest = revisions.id(revision + 1, 0) - 1
        let live = "SELECT c.key, c.id FROM drover_current c WHERE \(Self.condition(range, "c")) ORDER BY c.key"
        // A key deleted at or before the revision did not exist then.
        let dead = """
            SELECT t.key, t.id FROM drover_tombstone t WHERE \(Self.condition(range, "t")) AND t.id > ?3 ORDER BY t.key
            """
        try withScan(live) { live in
            try withScan(dead) { dead in
                bind(range, live)
                bind(range, dead)
                dead.bind(3, newest)
                var hasLive = try live.step()
                var hasDead = try dead.step()
                while hasLive || hasDead {
                    let takesLive: Bool
                    if hasLive && hasDead {
                        takesLive = Self.precedes(live.bytes(0), dead.bytes(0))
                    } else {
                        takesLive = hasLive
                    }
                    var id = takesLive ? live.integer(1) : dead.integer(1)
                    if id > newest { id = try older(id, of: (takesLive ? live : dead).bytes(0), at: revision) }
                    if id != 0 {
                        var goesOn = true
                        _ = try event(id: id, values: values) { row in
                            if row.version != 0 { goesOn = try body(row) }
                        }
                        if !goesOn { return }
                    }
                    if takesLive { hasLive = try live.step() } else { hasDead = try dead.step() }
                }
            }
        }
    }

    /// The id of the key's newest event at or below a revision, `id` being one above it; 0 when there is none.
    private func older(_ id: Int64, of key: UnsafeRawBufferPointer, at revision: Int64) throws -> Int64 {
        let near = try follow(id, of: key, downTo: revision, hops: ChainSearch.firstHops)
        let (main, sub) = revisions.position(near)
        if main <= revision { return near }
        let name = Bytes(key)
        let found = try ChainSearch.positions(of: [name: LogPosition(main: main, sub: sub)], at: revision) {
            chains,
            hops in
            try chains.map { chain in
                let id = revisions.id(chain.from.main, chain.from.sub)
                let (main, sub) = revisions.position(try follow(id, of: key, downTo: revision, hops: hops))
                return LogPosition(main: main, sub: sub)
            }
        } readBack: { _, rows in
            try readBack(key, from: revision, rows: rows)
        }
        return found[name].map { revisions.id($0.main, $0.sub) } ?? 0
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
        _ key: UnsafeRawBufferPointer,
        from revision: Int64,
        rows: Int
    ) throws -> (found: [Bytes: LogPosition], isWhole: Bool) {
        var found: [Bytes: LogPosition] = [:]
        var read = 0
        try withScan("SELECT id, key FROM drover_log WHERE id < ?1 ORDER BY id DESC LIMIT ?2") { statement in
            statement.bind(1, revisions.id(revision + 1, 0))
            statement.bind(2, Int64(rows))
            while try statement.step() {
                read += 1
                guard statement.bytes(1).elementsEqual(key) else { continue }
                let (main, sub) = revisions.position(statement.integer(0))
                found[Bytes(key)] = LogPosition(main: main, sub: sub)
                return
            }
        }
        return (found, found.isEmpty && read < rows)
    }

    private static func precedes(_ a: UnsafeRawBufferPointer, _ b: UnsafeRawBufferPointer) -> Bool {
        let common = min(a.count, b.count)
        for i in 0..<common where a[i] != b[i] { return a[i] < b[i] }
        return a.count < b.count
    }
}
