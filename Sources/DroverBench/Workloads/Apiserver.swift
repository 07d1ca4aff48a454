/// One of the apiserver's workers.
final class Apiserver: LaneScript, @unchecked Sendable {
    /// What the lane is doing to one of the cluster's objects.
    private struct Holding {
        var kind: Int
        var number: Int
        var revision: Int64
    }

    private let objects: ClusterObjects
    private let folders: [KeyMaker]
    private let values: [ValueMaker]
    private var random: FastRandom
    private let onWrite: (_ kind: Int, _ isSure: Bool) -> Void
    /// Of how many choices one begins to page through all pods.
    private let walks: Int
    private var holding: Holding?
    private var last: (operation: Operation, kind: Int)?
    private var page: (kind: Int, key: [UInt8], revision: Int64)?

    /// Of a thousand calls, which go for pages however many a cluster's pods fill.
    private static let pages = 54

    /// - Parameter onWrite: told of each write of a kind: one that was made, or one that may have been.
    init(
        objects: ClusterObjects,
        folders: [KeyMaker],
        values: [ValueMaker],
        random: FastRandom,
        onWrite: @escaping (_ kind: Int, _ isSure: Bool) -> Void
    ) {
        self.objects = objects
        self.folders = folders
        self.values = values
        self.random = random
        self.onWrite = onWrite
        walks = max(1, Self.pages * Self.scale / max(1, (objects.count(Kind.pods) + 499) / 500))
    }

    /// Kinds by their places in ``KubernetesWorkload/Kind``.
    private enum Kind {
        static let (pods, nodes, leases, configmaps, events) = (0, 1, 2, 3, 4)
    }

    /// Choices are made in thousandths of a call in a thousand, so that large clusters' walks are not lost to rounding.
    private static let scale = 1_000

    override var isStamped: Bool { true }

    override func next(after result: OperationResult?) -> Operation? {
        if let last { learn(last.operation, last.kind, result) }
        let (operation, kind) = choose()
        last = (operation, kind)
        return operation
    }

    /// What every answer must hold whatever the others have done meanwhile.
    override func isComplete(_ operation: Operation, _ result: OperationResult) -> Bool {
        guard case .list(_, _, let limit, _) = operation else { return true }
        if limit > 0 { return result.more ? result.keys == Int(limit) : true }
        // Every node's lease, none of which is ever taken away.
        return result.keys >= objects.count(Kind.leases)
    }

    private func learn(_ operation: Operation, _ kind: Int, _ result: OperationResult?) {
        switch operation {
        case .create, .update, .remove:
            if result?.succeeded != false { onWrite(kind, result != nil) }
        default: break
        }
        switch operation {
        case .create(let key, _, _):
            if let result, result.succeeded { objects.add(.init(kind: kind, key: key, revision: result.revision)) }
        case .update:
            giveBack(result?.modRevision)
        case .get:
            // Read to be updated: the caches did not know it yet.
            guard let held = holding else { break }
            if let result, result.modRevision > 0 {
                holding = Holding(kind: held.kind, number: held.number, revision: result.modRevision)
            } else {
                giveBack(nil)
            }
        case .list(_, _, let limit, let revision) where limit > 0:
            guard let result, result.more else {
                page = nil
                break
            }
            page = (kind, result.lastKey + [0], revision > 0 ? revision : result.revision)
        default: break
        }
    }

    private func giveBack(_ revision: Int64?) {
        guard let held = holding else { return }
        holding = nil
        objects.giveBack(held.kind, held.number, revision: revision)
    }

    private func update(_ kind: Int) -> (Operation, Int) {
        guard let (number, revision) = objects.take(kind, &random) else { return get(kind) }
        holding = Holding(kind: kind, number: number, revision: revision)
        if revision == 0 { return (.get(key: folders[kind].key(number)), kind) }
        return update(holding!)
    }

    private func update(_ held: Holding) -> (Operation, Int) {
        let value = values[held.kind].next(&random)
        return (.update(key: folders[held.kind].key(held.number), value: value, revision: held.revision), held.kind)
    }

    private func get(_ kind: Int) -> (Operation, Int) {
        (.get(key: folders[kind].key(objects.any(kind, &random))), kind)
    }

    private func choose() -> (Operation, Int) {
        if let holding { return update(holding) }
        if let page {
            return (.list(key: page.key, end: folders[page.kind].end, limit: 500, revision: page.revision), page.kind)
        }
        let others = (1_000 - Self.pages) * Self.scale
        let choice = random.next(below: others + walks)
        if choice >= others {
            return (
                .list(key: folders[Kind.pods].first, end: folders[Kind.pods].end, limit: 500, revision: 0), Kind.pods
            )
        }
        switch choice / Self.scale {
        case 0..<400: return update(Kind.leases)
        case 400..<600: return update(Kind.pods)
        case 600..<640: return update(Kind.nodes)
        case 640..<660: return update(Kind.configmaps)
        case 660..<785:
            let kind = random.next(below: 2) == 0 ? Kind.pods : Kind.events
            let key = folders[kind].key(objects.next())
            return (.create(key: key, value: values[kind].next(&random), lease: 0), kind)
        case 785..<910:
            // As many as are created, so that the cluster stays as large as it is.
            guard let gone = objects.remove(&random) else { return get(Kind.pods) }
            return (.remove(key: gone.key, revision: gone.revision), gone.kind)
        case 910..<945: return get(Kind.pods)
        default:
            let folder = folders[Kind.leases]
            return (.list(key: folder.first, end: folder.end, limit: 0, revision: 0), Kind.leases)
        }
    }
}
