/// Calls on single keys, pages and lists, all of one kind or reads and writes mixed.
struct KeyValueWorkload: Workload {
    enum Kind: Sendable {
        case put, get, txn, delete, objects, mixed, page, pages, list, count
    }

    let kind: Kind

    var findsKeys: Bool {
        switch kind {
        case .get, .mixed, .page, .pages, .list, .count: true
        case .put, .txn, .delete, .objects: false
        }
    }

    func prepare(_ bench: WorkloadBench) async throws {
        if findsKeys && bench.round == 0 { try await bench.fill(bench.keys("k/")) }
    }

    func run(_ bench: WorkloadBench) async throws -> [String: Double] {
        let settings = bench.settings
        let order = KeyOrder(rawValue: settings.keyOrder)!
        // Whole lists are long: one at a time on each connection is enough to fill the line, and what all of them hold.
        let lanes = kind == .list ? min(settings.lanes, settings.connections) : settings.lanes
        let keys = bench.keys("k/")
        let values = bench.values()
        let scripts: [LaneScript] = (0..<lanes).map { lane in
            var random = bench.random(lane)
            var chooser = KeyChooser(order, count: settings.keys, lane: lane, lanes: lanes)
            switch kind {
            case .put:
                return ClosureScript { _ in
                    .put(key: keys.key(chooser.next(&random)), value: values.next(&random), lease: 0)
                }
            case .get: return ClosureScript(finding: 1) { _ in .get(key: keys.key(chooser.next(&random))) }
            case .mixed:
                return ClosureScript(finding: 1) { _ in
                    let key = keys.key(chooser.next(&random))
                    let reads = Double(random.next(below: 1_000_000)) < settings.readRatio * 1_000_000
                    return reads ? .get(key: key) : .put(key: key, value: values.next(&random), lease: 0)
                }
            case .txn:
                return GuardedUpdates(keys.key(lane), { values.next(&random) })
            case .delete:
                return PutsAndDeletes(keys.key(lane), { values.next(&random) })
            case .objects:
                return ObjectLives(keys.key(lane), { values.next(&random) })
            case .page:
                return ClosureScript(finding: min(500, settings.keys)) { _ in
                    let last = max(1, settings.keys - 500)
                    return .list(key: keys.key(random.next(below: last)), end: keys.end, limit: 500, revision: 0)
                }
            case .pages: return PageWalk(keys, settings.keys)
            case .list:
                return ClosureScript(finding: settings.keys) { _ in
                    .list(key: keys.first, end: keys.end, limit: 0, revision: 0)
                }
            case .count:
                return ClosureScript(finding: settings.keys) { _ in .count(key: keys.first, end: keys.end) }
            }
        }
        bench.begin()
        try await bench.session.run(scripts, pace: bench.pace, recorder: bench.recorder)
        return [:]
    }
}

/// Walks through all keys in pages of 500, as Kubernetes lists, over and over.
private final class PageWalk: LaneScript, @unchecked Sendable {
    private let keys: KeyMaker
    private let total: Int
    /// Keys of the pages before, of this walk.
    private var walked = 0

    init(_ keys: KeyMaker, _ total: Int) {
        self.keys = keys
        self.total = total
    }

    override func next(after result: OperationResult?) -> Operation? {
        if result == nil { walked = 0 }
        let from = result.map { $0.more ? $0.lastKey + [0] : keys.first } ?? keys.first
        return .list(key: from, end: keys.end, limit: 500, revision: 0)
    }

    override func isComplete(_ operation: Operation, _ result: OperationResult) -> Bool {
        walked += result.keys
        if result.more { return result.keys == 500 }
        defer { walked = 0 }
        return walked >= total
    }
}

/// A key of the lane's own: created, then updated over and over from the revision it was last changed at.
private final class GuardedUpdates: LaneScript, @unchecked Sendable {
    private let key: [UInt8]
    private let value: () -> [UInt8]

    init(_ key: [UInt8], _ value: @escaping () -> [UInt8]) {
        self.key = key
        self.value = value
    }

    override func next(after result: OperationResult?) -> Operation? {
        // At first, and after a failure, the revision is not known: the failure branch tells it.
        .update(key: key, value: value(), revision: result?.modRevision ?? 0)
    }
}

/// Puts a key and deletes it, in turn.
private final class PutsAndDeletes: LaneScript, @unchecked Sendable {
    private let key: [UInt8]
    private let value: () -> [UInt8]
    private var isThere = false

    init(_ key: [UInt8], _ value: @escaping () -> [UInt8]) {
        self.key = key
        self.value = value
    }

    override func next(after result: OperationResult?) -> Operation? {
        // After a failure the key is put again: what is deleted is there.
        isThere = result != nil && !isThere
        return isThere ? .delete(key: key, end: []) : .put(key: key, value: value(), lease: 0)
    }
}

/// Creates a key, updates and deletes it, in turn, each guarded as Kubernetes guards it.
private final class ObjectLives: LaneScript, @unchecked Sendable {
    /// What is known of the key.
    private enum Stage { case unknown, gone, created, updated }

    private let key: [UInt8]
    private let value: () -> [UInt8]
    private var stage = Stage.unknown

    init(_ key: [UInt8], _ value: @escaping () -> [UInt8]) {
        self.key = key
        self.value = value
    }

    override func next(after result: OperationResult?) -> Operation? {
        guard let result, result.succeeded else {
            stage = .unknown
            return .delete(key: key, end: [])
        }
        switch stage {
        case .unknown, .updated:
            stage = .gone
            return .create(key: key, value: value(), lease: 0)
        case .gone:
            stage = .created
            return .update(key: key, value: value(), revision: result.modRevision)
        case .created:
            stage = .updated
            return .remove(key: key, revision: result.modRevision)
        }
    }
}
