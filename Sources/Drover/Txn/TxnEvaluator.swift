/// Evaluates calls one after the other over the rows of a driver, keeping what they change in memory.
///
/// One evaluator serves one batch, or one read-only transaction. A call that fails leaves nothing behind: its
/// neighbours in the batch go on. Source of the rules: etcd `server/etcdserver/txn`, `server/storage/mvcc`.
struct TxnEvaluator {
    /// Thrown by a call that must not share its batch: it goes first in the next one.
    struct NeedsOwnBatch: Error {}

    /// A key the batch has looked at.
    struct Entry {
        var key: Bytes
        var base: KeyState?
        var now: KeyState?
        /// The value that the batch gave it.
        var value: Bytes?
        var isDirty = false

        var live: KeyState? { now?.isLive == true ? now : nil }
    }

    private struct Undo {
        var index: Int
        var now: KeyState?
        var value: Bytes?
        var isDirty: Bool
    }

    let view: any DriverView
    let meta: StoreMeta
    /// Looks a lease up that the batch has not changed.
    let leaseExists: (Int64) throws -> Bool
    /// Whether a lease's time is over, by the clock that its deadline goes by.
    let leaseIsExpired: (Int64) throws -> Bool
    /// The most rows a call may touch while others share its batch.
    let sharedRows: Int

    private(set) var revision: Int64
    private(set) var compacted: Int64
    private(set) var entries: [Entry] = []
    private(set) var index: [Bytes: Int] = [:]
    private(set) var dirty: [Int] = []
    private(set) var events: [ChangeSet.LogEvent] = []
    private(set) var granted: [LeaseRecord] = []
    private(set) var revoked: [Int64] = []
    /// Alarms, users and roles as calls find them; nil while there were never any.
    private(set) var system: LoadedSystem?
    /// Whether the batch has changed them.
    private(set) var hasSystemChanged = false
    let quota: Quota?
    /// Keys of leases as they were before the batch, fetched with it.
    private var attached: [Int64: [Bytes]] = [:]
    /// Leases whose keys a caller was found to be allowed to write, each with the last such caller.
    var holders: [Int64: Caller] = [:]
    /// Who makes the present call.
    private var caller = Caller.trusted

    /// Whether calls were evaluated before the present one.
    var isShared = false
    /// Rows the present call has touched.
    private(set) var rowsTouched = 0
    /// Bytes of values that the batch writes anew as they were, and of those that its replies bring.
    private(set) var loadedBytes = 0
    /// What the present call's reply comes to.
    private var reply = ReplySize()
    private var undo: [Undo] = []
    /// Events of the present call: the next one's place in the revision.
    private var subs: Int64 = 0

    init(
        view: any DriverView,
        meta: StoreMeta,
        sharedRows: Int = .max,
        system: LoadedSystem? = nil,
        quota: Quota? = nil,
        leaseExists: @escaping (Int64) throws -> Bool,
        leaseIsExpired: @escaping (Int64) throws -> Bool = { _ in true }
    ) {
        self.view = view
        self.meta = meta
        self.sharedRows = sharedRows
        self.system = system
        self.quota = quota
        self.leaseExists = leaseExists
        self.leaseIsExpired = leaseIsExpired
        self.revision = meta.revision
        self.compacted = meta.compacted
    }

    /// Takes over the states that were fetched with the batch.
    mutating func preload(_ keys: [Bytes], _ states: [KeyState?]) {
        entries.reserveCapacity(entries.count + keys.count)
        index.reserveCapacity(index.count + keys.count)
        for (key, state) in zip(keys, states) { add(key, state) }
    }

    /// Takes over the keys of leases that were fetched with the batch.
    mutating func preload(attached keys: [Bytes], to lease: Int64) { attached[lease] = keys }

    /// Fetches the states of keys that calls will look at, those that are known left out.
    mutating func preload(_ keys: [Bytes]) throws {
        let unknown = keys.filter { index[$0] == nil }
        if unknown.isEmpty { return }
        preload(unknown, try view.states(of: unknown))
    }

    /// What the batch has come to.
    func changeSet() -> ChangeSet {
        var changes = ChangeSet(base: meta)
        changes.revision = revision
        changes.compacted = compacted
        changes.events = events
        changes.keys.reserveCapacity(dirty.count)
        for i in dirty {
            let entry = entries[i]
            changes.keys.append(.init(key: entry.key, before: entry.base, after: entry.now!))
        }
        changes.grantedLeases = granted
        changes.revokedLeases = revoked
        if hasSystemChanged { changes.system = system?.state.encoded() }
        return changes
    }

    /// Evaluates one call.
    ///
    /// - Throws: ``DroverError`` when the call fails alone, ``DriverFailure`` when the batch does, ``NeedsOwnBatch``.
    mutating func evaluate(_ operation: WriteOperation, _ caller: Caller = .trusted) throws -> WriteReply {
        try admit(operation, caller)
        self.caller = caller
        undo.removeAll(keepingCapacity: true)
        subs = 0
        rowsTouched = 0
        reply = ReplySize()
        let eventsBefore = events.count
        let dirtyBefore = dirty.count
        do {
            let reply = try perform(operation)
            loadedBytes += self.reply.bytes
            if subs > 0 { revision += 1 }
            return reply
        } catch {
            for step in undo.reversed() {
                entries[step.index].now = step.now
                entries[step.index].value = step.value
                entries[step.index].isDirty = step.isDirty
            }
            events.removeLast(events.count - eventsBefore)
            dirty.removeLast(dirty.count - dirtyBefore)
            throw error
        }
    }

    private mutating func perform(_ operation: WriteOperation) throws -> WriteReply {
        switch operation {
        case .put(let request):
            return .put(try put(request))
        case .deleteRange(let request):
            return .deleteRange(try delete(request))
        case .txn(let request):
            return .txn(try txn(request))
        case .compact(let target, _):
            if target <= compacted { throw DroverError(.compacted) }
            if target > revision { throw DroverError(.futureRevision) }
            compacted = target
            return .compact(revision: revision)
        case .leaseGrant(let id, let ttl):
            if try hasLease(id) { throw DroverError(.leaseExists) }
            // One that the same batch has revoked stays revoked as well: drivers delete leases before they insert others.
            let lease = LeaseRecord(id: id, grantedTTL: ttl)
            granted.append(lease)
            return .leaseGrant(revision: revision, lease: lease)
        case .leaseExpire(let id):
            // It may have been renewed since it was found to be over, or granted anew behind its end.
            if revoked.contains(id) || granted.contains(where: { $0.id == id }) { throw DroverError(.leaseNotFound) }
            if try !leaseIsExpired(id) { throw DroverError(.leaseNotFound) }
            return try perform(.leaseRevoke(id: id))
        case .leaseRevoke(let id):
            if try !hasLease(id) { throw DroverError(.leaseNotFound) }
            try deleteKeys(attachedTo: id)
            granted.removeAll { $0.id == id }
            revoked.append(id)
            return .leaseRevoke(revision: subs > 0 ? revision + 1 : revision)
        case .system(let change):
            return .system(revision: revision, alarms: try apply(change))
        }
    }

    mutating func apply(_ change: SystemOperation) throws(DroverError) -> [Alarm] {
        let before = system?.state ?? SystemState()
        var state = before
        let alarms = try change.apply(to: &state)
        if state != before {
            system = LoadedSystem(revision: meta.systemRevision + 1, state: state, after: system)
            hasSystemChanged = true
            holders = [:]
        }
        return alarms
    }

    func hasLease(_ id: Int64) throws -> Bool {
        if granted.contains(where: { $0.id == id }) { return true }
        if revoked.contains(id) { return false }
        return try leaseExists(id)
    }

    /// The revision as calls see it now: one more after the first change of the present call.
    var visibleRevision: Int64 { subs > 0 ? revision + 1 : revision }
}

// MARK: - Looking at keys

extension TxnEvaluator {
    mutating func entryIndex(_ key: Bytes) throws -> Int {
        if let found = index[key] { return found }
        let state = try view.state(of: key)
        return add(key, state)
    }

    @discardableResult
    private mutating func add(_ key: Bytes, _ state: KeyState?) -> Int {
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

// MARK: - Changing keys

extension TxnEvaluator {
    private mutating func record(_ i: Int, value: Bytes, state: KeyState) {
        let entry = entries[i]
        undo.append(Undo(index: i, now: entry.now, value: entry.value, isDirty: entry.isDirty))
        events.append(
            .init(
                key: entry.key,
                value: value,
                main: state.main,
                sub: state.sub,
                createRevision: state.createRevision,
                version: state.version,
                lease: state.lease,
                previousMain: entry.now?.main ?? 0,
                previousSub: entry.now?.sub ?? 0
            )
        )
        entries[i].now = state
        entries[i].value = value
        if !entry.isDirty {
            entries[i].isDirty = true
            dirty.append(i)
        }
        subs += 1
    }

    mutating func put(_ request: PutRequest) throws -> PutResponse {
        if request.lease != 0 {
            if try !hasLease(request.lease) { throw DroverError(.leaseNotFound) }
            // Another's key: who was allowed before may not be any more.
            if let holder = holders[request.lease], holder != caller { holders[request.lease] = nil }
        }
        let i = try entryIndex(request.key)
        let old = entries[i].live
        var value = request.value
        var lease = request.lease
        if request.ignoresValue || request.ignoresLease {
            guard let old else { throw DroverError(.keyNotFound) }
            if request.ignoresValue {
                value = try self.value(ofEntry: i)
                loadedBytes += value.count
            }
            if request.ignoresLease { lease = old.lease }
        }
        let previous = request.wantsPrevious ? try keyValue(ofEntry: i) : nil
        if let previous { try reply.add(previous) }
        let main = revision + 1
        record(
            i,
            value: value,
            state: KeyState(
                main: main,
                sub: subs,
                createRevision: old?.createRevision ?? main,
                version: (old?.version ?? 0) + 1,
                lease: lease,
                valueLength: value.count
            )
        )
        return PutResponse(revision: main, previous: previous)
    }

    mutating func delete(_ request: DeleteRangeRequest) throws -> DeleteRangeResponse {
        var previous: [KeyValue] = []
        var found: [Int] = []
        if request.range.isSingle {
            let i = try entryIndex(request.range.lower)
            if entries[i].live != nil {
                found = [i]
                if request.wantsPrevious { previous = [try keyValue(ofEntry: i)!] }
            }
        } else {
            var rows: [(key: Bytes, state: KeyState)] = []
            var size = reply
            try scanNewest(request.range, values: request.wantsPrevious) { row in
                rows.append((Bytes(row.key), row.state()))
                if request.wantsPrevious {
                    previous.append(row.keyValue())
                    try size.add(row)
                }
                return true
            }
            reply = size
            found.reserveCapacity(rows.count)
            for (place, (key, state)) in rows.enumerated() {
                found.append(index[key] ?? add(key, state))
                try stayActive(place)
            }
        }
        for (place, i) in found.enumerated() {
            erase(i)
            try stayActive(place)
        }
        return DeleteRangeResponse(
            revision: visibleRevision,
            deleted: Int64(found.count),
            previous: previous
        )
    }

    /// Reminds the database of the batch every few thousand keys.
    private func stayActive(_ place: Int) throws { if place & 0x1fff == 0x1fff { try view.stayActive() } }

    private mutating func erase(_ i: Int) {
        record(i, value: [], state: KeyState(main: revision + 1, sub: subs))
    }

    /// The keys of a lease, with what the batch has changed, in key order.
    func keys(attachedTo lease: Int64) throws -> [Bytes] {
        // No lease, which most keys have.
        if lease == 0 { return [] }
        var keys = try attached[lease] ?? view.keys(attachedTo: lease)
        if !dirty.isEmpty {
            keys.removeAll { key in index[key].map { entries[$0].isDirty } ?? false }
            for i in dirty where entries[i].live?.lease == lease { keys.append(entries[i].key) }
            keys.sort(by: Bytes.precedes)
        }
        return keys
    }

    private mutating func deleteKeys(attachedTo lease: Int64) throws {
        let keys = try keys(attachedTo: lease)
        if isShared && keys.count > sharedRows { throw NeedsOwnBatch() }
        rowsTouched += keys.count
        // Together: a round trip for each of a hundred thousand keys would take minutes.
        try preload(keys)
        for (place, key) in keys.enumerated() {
            erase(try entryIndex(key))
            try stayActive(place)
        }
    }
}
