/// Events that one statement names.
private let eventsAtOnce = 64
/// Bytes of the longest value that comes with those of others.
private let longestOfMany = 128 << 10
/// Keys whose states one statement reads.
private let statesAtOnce = 2_000

extension ServerView {
    // MARK: - Ranges

    public func scan(
        _ range: KeyRange,
        at revision: Int64?,
        values: Bool,
        expecting: Int,
        _ body: (RowView) throws -> Bool
    ) throws {
        var window = ScanWindow(
            expecting: range.isSingle ? 1 : expecting,
            averageBytes: values ? averageValueBytes : 0
        )
        var start = range.lower
        while true {
            let limit = window.next()
            // Where most values are kept, the others are fetched by themselves.
            var kept = cache.scan(range, values: values, expecting: limit)
            defer { kept?.end() }
            let isApart = kept?.isApart == true
            let longest = values && !isApart ? window.longest : nil
            let rows = try fetch(range, from: start, at: revision, longest: longest, limit: limit)
            let apart = isApart ? try valuesApart(of: rows, through: revision, longest: window.longest, &kept!) : nil
            let older = try revision.flatMap {
                try olderEvents(of: rows, at: $0, longest: values ? window.longest : -1)
            }
            var bytes = 0
            var taken = 0
            while let row = rows.next() {
                taken += 1
                if taken == limit { start = Bytes(row.key).successor }
                var goesOn = true
                if let revision, row.main > revision {
                    let lent = try older?.lend(insteadOf: row) { event in
                        bytes += event.valueLength
                        if values { averageValueBytes = max(1, bytes / taken) }
                        return isWhole(event, values) ? try body(event) : try lendWhole(event, body)
                    }
                    goesOn = lent ?? true
                } else if row.version != 0 {
                    bytes += row.valueLength
                    if values { averageValueBytes = max(1, bytes / taken) }
                    if let apart {
                        goesOn = try apart.lend(row, taken - 1) { row in
                            isWhole(row, values) ? try body(row) : try lendWhole(row, body)
                        }
                    } else {
                        kept?.came(row)
                        goesOn = isWhole(row, values) ? try body(row) : try lendWhole(row, body)
                    }
                }
                if !goesOn { return }
            }
            if taken < limit || range.isSingle { return }
            window.took(rows: taken, bytes: values ? bytes : 0)
        }
    }

    /// The values of rows that came without them: those that are kept, and those that are not from the log, together.
    private func valuesApart(
        of rows: Rows,
        through revision: Int64?,
        longest: Int,
        _ kept: inout RowCacheScan
    ) throws -> ValuesApart<Rows> {
        var apart = ValuesApart<Rows>(rows: rows.count)
        var missing: [LogPosition] = []
        var number = 0
        while let row = rows.next() {
            defer { number += 1 }
            if row.version == 0 || row.main > revision ?? .max { continue }
            if let value = kept.value(of: row) {
                apart.keep(value, of: number)
            } else {
                missing.append(LogPosition(main: row.main, sub: row.sub))
            }
        }
        rows.seek(0)
        if missing.isEmpty { return apart }
        for events in try fetchEvents(missing, longest: longest) {
            apart.fetched.append(events)
            while let event = events.next() {
                if isWhole(event, true) { kept.missed(event) }
                apart.events[LogPosition(main: event.main, sub: event.sub)] = event.value
            }
        }
        return apart
    }

    /// The events that rows which are newer than the revision had then; nil where none is. Values longer than `longest` are
    /// left out.
    private func olderEvents(of rows: Rows, at revision: Int64, longest: Int) throws -> OlderEvents<Rows>? {
        var open: [Bytes: LogPosition] = [:]
        while let row = rows.next() {
            if row.main > revision { open[Bytes(row.key)] = LogPosition(main: row.main, sub: row.sub) }
        }
        rows.seek(0)
        if open.isEmpty { return nil }
        var older = OlderEvents<Rows>()
        // Most have few events since.
        let chains = open.map { (key: $0.key, from: $0.value) }
        let ends = try follow(chains.map(\.from), downTo: revision, hops: ChainSearch.firstHops)
        for (chain, place) in zip(chains, ends) {
            open[chain.key] = place.main > revision ? place : nil
            if place.main > 0 && place.main <= revision { older.places[chain.key] = place }
        }
        let far = try ChainSearch.positions(of: open, at: revision) { chains, hops in
            try follow(chains.map(\.from), downTo: revision, hops: hops)
        } readBack: { keys, rows in
            try readBack(keys, from: revision, rows: rows)
        }
        older.places.merge(far) { $1 }
        if older.places.isEmpty { return older }
        older.fetched = try fetchEvents(Array(older.places.values), longest: longest)
        for events in older.fetched {
            while let event = events.next() { older.events[LogPosition(main: event.main, sub: event.sub)] = event }
        }
        return older
    }

    public func count(_ range: KeyRange, at revision: Int64?) throws -> Int64 {
        guard let revision else { return try fetchCount(of: range) }
        var count: Int64 = 0
        try scan(range, at: revision, values: false, expecting: .max) { _ in
            count += 1
            return true
        }
        return count
    }

    // MARK: - The log

    /// Whether the row's value was not too long to come with others.
    @inline(__always)
    private func isWhole(_ row: RowView, _ values: Bool) -> Bool { !values || row.value.baseAddress != nil }

    /// Lends a row whose value is fetched by itself.
    private func lendWhole<R>(_ row: RowView, _ body: (RowView) throws -> R) throws -> R {
        for rows in try fetchEvents([LogPosition(main: row.main, sub: row.sub)], longest: .max) {
            guard let event = rows.next() else { continue }
            var whole = row
            whole.value = event.value
            return try withExtendedLifetime(rows) { try body(whole) }
        }
        throw DriverFailure(.corrupt, "an event has gone from drover_log; restore the database from a backup")
    }

    public func event(main: Int64, sub: Int64, _ body: (RowView) throws -> Void) throws -> Bool {
        var found = false
        try events([LogPosition(main: main, sub: sub)]) { _, row in
            found = true
            try body(row)
        }
        return found
    }

    public func events(_ positions: [LogPosition], _ body: (Int, RowView) throws -> Void) throws {
        // So many that even large values stay bounded; one is fetched whatever its size.
        for start in stride(from: 0, to: positions.count, by: eventsAtOnce) {
            let end = min(positions.count, start + eventsAtOnce)
            var places: [LogPosition: [Int]] = [:]
            for place in start..<end { places[positions[place], default: []].append(place) }
            let longest = places.count == 1 ? Int.max : longestOfMany
            for rows in try fetchEvents(Array(places.keys), longest: longest) {
                while let row = rows.next() {
                    let places = places[LogPosition(main: row.main, sub: row.sub)] ?? []
                    if isWhole(row, true) {
                        for place in places { try body(place, row) }
                    } else {
                        try lendWhole(row) { row in for place in places { try body(place, row) } }
                    }
                }
            }
        }
    }

    public func log(from main: Int64, values: Bool, _ body: (RowView) throws -> Bool) throws {
        var window = ScanWindow(expecting: .max, averageBytes: values ? averageValueBytes : 0)
        var last = LogPosition(main: main, sub: -1)
        while true {
            let limit = window.next()
            let rows = try fetchLog(after: last, longest: values ? window.longest : nil, limit: limit)
            var bytes = 0
            // Without values the length may not be known either.
            var newest: RowView?
            defer { if values, let newest { withExtendedLifetime(rows) { history.didSee(newest) } } }
            while let row = rows.next() {
                bytes += row.valueLength
                last = LogPosition(main: row.main, sub: row.sub)
                newest = row
                if try !(isWhole(row, values) ? body(row) : lendWhole(row, body)) { return }
            }
            if rows.count < limit { return }
            window.took(rows: rows.count, bytes: values ? bytes : 0)
        }
    }

    // MARK: - Single things

    public func state(of key: Bytes) throws -> KeyState? { try fetchStates(of: [key])[0] }

    public func states(of keys: [Bytes]) throws -> [KeyState?] {
        var found: [KeyState?] = []
        found.reserveCapacity(keys.count)
        for start in stride(from: 0, to: keys.count, by: statesAtOnce) {
            found += try fetchStates(of: Array(keys[start..<min(keys.count, start + statesAtOnce)]))
        }
        return found
    }
}
