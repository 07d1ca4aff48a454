/// Looking at keys.
extension TxnEvaluator {
    mutating func entryIndex(_ key: Bytes) throws -> Int {
        if let found = index[key] { return found }
        let state = try view.state(of: key)
        return add(key, state)
    }

    @discardableResult
    mutating func add(_ key: Bytes, _ state: KeyState?) -> Int {
        index[key] = entries.count
        entries.append(Entry(key: key, base: state, now: state))
        return entries.count - 1
    }

    private mutating func touch() throws {
        rowsTouched += 1
        if isShared && rowsTouched > sharedRows { throw NeedsOwnBatch() }
    }

    func value(ofEntry i: Int) throws -> Bytes {
        if let value = entries[i].value { return value }
        guard let state = entries[i].live else { return [] }
        var value: Bytes = []
        let found = try view.event(main: state.main, sub: state.sub) { value = Bytes($0.value) }
        if !found {
            throw DriverFailure(
                .corrupt,
                "a live key's event is missing from the log; run `drover check` on the database"
            )
        }
        return value
    }

    func keyValue(ofEntry i: Int, values: Bool = true) throws -> KeyValue? {
        guard let state = entries[i].live else { return nil }
        return KeyValue(
            key: entries[i].key,
            value: values ? try value(ofEntry: i) : [],
            createRevision: state.createRevision,
            modRevision: state.main,
            version: state.version,
            lease: state.lease
        )
    }

    /// The newest state of a range: the driver's rows with the batch's changes over them, in key order.
    mutating func scanNewest(_ range: KeyRange, values: Bool, _ body: (RowView) throws -> Bool) throws {
        if range.isEmpty { return }
        if range.isSingle, let i = index[range.lower] {
            try touch()
            if let kv = try keyValue(ofEntry: i, values: values) { _ = try lend(kv, entries[i].live!, body) }
            return
        }
        var changed: [Int] = []
        if !dirty.isEmpty {
            changed = dirty.filter { range.contains(entries[$0].key) }
            changed.sort { Bytes.precedes(entries[$0].key, entries[$1].key) }
        }
        if changed.isEmpty {
            var touched = rowsTouched
            let (shared, most) = (isShared, sharedRows)
            defer { rowsTouched = touched }
            try view.scan(range, at: nil, values: values) { row in
                touched += 1
                if shared && touched > most { throw NeedsOwnBatch() }
                return try body(row)
            }
            return
        }
        var next = 0
        var stopped = false
        var touched = rowsTouched
        let (shared, most) = (isShared, sharedRows)
        defer { rowsTouched = touched }
        // Lends the batch's own live keys that come before `limit`; false when the body has had enough.
        func lendChanged(before limit: Bytes?) throws -> Bool {
            while next < changed.count {
                let i = changed[next]
                if let limit, !Bytes.precedes(entries[i].key, limit) { return true }
                next += 1
                if let kv = try keyValue(ofEntry: i, values: values) {
                    if try !lend(kv, entries[i].live!, body) { return false }
                }
            }
            return true
        }
        try view.scan(range, at: nil, values: values) { row in
            touched += 1
            if shared && touched > most { throw NeedsOwnBatch() }
            let key = Bytes(row.key)
            if try !lendChanged(before: key) {
                stopped = true
                return false
            }
            if next < changed.count, entries[changed[next]].key == key { return true }
            if next > 0, entries[changed[next - 1]].key == key { return true }
            if try !body(row) {
                stopped = true
                return false
            }
            return true
        }
        if !stopped { _ = try lendChanged(before: nil) }
    }

    private func lend(_ kv: KeyValue, _ state: KeyState, _ body: (RowView) throws -> Bool) throws -> Bool {
        try kv.key.withUnsafeBytes { key in
            try kv.value.withUnsafeBytes { value in
                try body(
                    RowView(
                        key: key,
                        value: value,
                        valueLength: state.valueLength,
                        main: state.main,
                        sub: state.sub,
                        createRevision: state.createRevision,
                        version: state.version,
                        lease: state.lease
                    )
                )
            }
        }
    }

    mutating func range(_ request: RangeRequest) throws -> RangeResponse {
        let visible = visibleRevision
        // History within the batch itself is not kept: such a read waits for the batch to be committed.
        if request.revision > meta.revision && request.revision <= visible && isShared { throw NeedsOwnBatch() }
        if request.range.isSingle { _ = try entryIndex(request.range.lower) }
        var copy = self
        let view = self.view
        let base = meta.revision
        defer { rowsTouched = copy.rowsTouched }
        let scan: RangeExecution.Scan = { range, at, values, expecting, body in
            if let at, at <= base {
                try view.scan(range, at: at == base ? nil : at, values: values, expecting: expecting, body)
            } else {
                try copy.scanNewest(range, values: values, body)
            }
        }
        var execution = RangeExecution(currentRevision: visible, compactedRevision: compacted, scan: scan) {
            range,
            at in
            var count: Int64 = 0
            try scan(range, at, false, .max) { _ in
                count += 1
                return true
            }
            return count
        }
        execution.reply = reply
        defer { reply = execution.reply }
        return try execution.collect(request)
    }
}
