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

    struct Undo {
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
    var entries: [Entry] = []
    var index: [Bytes: Int] = [:]
    var dirty: [Int] = []
    var events: [ChangeSet.LogEvent] = []
    private(set) var granted: [LeaseRecord] = []
    private(set) var revoked: [Int64] = []
    /// Alarms, users and roles as calls find them; nil while there were never any.
    private(set) var system: LoadedSystem?
    /// Whether the batch has changed them.
    private(set) var hasSystemChanged = false
    let quota: Quota?
    /// Keys of leases as they were before the batch, fetched with it.
    var attached: [Int64: [Bytes]] = [:]
    /// Leases whose keys a caller was found to be allowed to write, each with the last such caller.
    var holders: [Int64: Caller] = [:]
    /// Who makes the present call.
    var caller = Caller.trusted

    /// Whether calls were evaluated before the present one.
    var isShared = false
    /// Rows the present call has touched.
    var rowsTouched = 0
    /// Bytes of values that the batch writes anew as they were, and of those that its replies bring.
    var loadedBytes = 0
    /// What the present call's reply comes to.
    var reply = ReplySize()
    var undo: [Undo] = []
    /// Events of the present call: the next one's place in the revision.
    var subs: Int64 = 0

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
        // To ask for a little more each time would move all of them each time.
        if entries.isEmpty {
            entries.reserveCapacity(keys.count)
            index.reserveCapacity(keys.count)
        }
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
        let caller = system?.settled(caller) ?? caller
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
