/// One of the apiserver's workers, with objects of its own.
final class Apiserver: LaneScript, @unchecked Sendable {
    private struct Object {
        var kind: Int
        var key: [UInt8]
        var revision: Int64
    }

    private let lane: Int
    private let lanes: Int
    private let folders: [KeyMaker]
    private let counts: [Int]
    private let values: [ValueMaker]
    private var random: FastRandom
    private let round: Int
    private let onWrite: (Int) -> Void
    /// What was created here and may be deleted.
    private var own: [Object] = []
    private var revisions: [[UInt8]: Int64] = [:]
    private var made = 0
    private var last: (operation: Operation, kind: Int)?
    private var page: (kind: Int, key: [UInt8], revision: Int64)?

    init(
        lane: Int,
        lanes: Int,
        folders: [KeyMaker],
        counts: [Int],
        values: [ValueMaker],
        random: FastRandom,
        round: Int,
        onWrite: @escaping (Int) -> Void
    ) {
        self.lane = lane
        self.lanes = lanes
        self.folders = folders
        self.counts = counts
        self.values = values
        self.random = random
        self.round = round
        self.onWrite = onWrite
    }

    override func next(after result: OperationResult?) -> Operation? {
        if let last { learn(last.operation, last.kind, result) }
        let (operation, kind) = choose()
        last = (operation, kind)
        return operation
    }

    private func learn(_ operation: Operation, _ kind: Int, _ result: OperationResult?) {
        guard let result else {
            page = nil
            return
        }
        switch operation {
        case .create(let key, _, _):
            guard result.succeeded else { return }
            onWrite(kind)
            own.append(Object(kind: kind, key: key, revision: result.revision))
        case .update(let key, _, _):
            if result.succeeded { onWrite(kind) }
            revisions[key] = result.modRevision
        case .remove:
            if result.succeeded { onWrite(kind) }
        case .list(_, _, let limit, let revision) where limit > 0:
            page =
                result.more
                ? (kind, result.lastKey + [0], revision > 0 ? revision : result.revision) : nil
        default: break
        }
    }

    /// One of the lane's share of a kind's objects.
    private func object(_ kind: Int) -> [UInt8] {
        let share = max(1, counts[kind] / lanes)
        return folders[kind].key((lane + lanes * random.next(below: share)) % counts[kind])
    }

    private func update(_ kind: Int) -> (Operation, Int) {
        let key = object(kind)
        return (.update(key: key, value: values[kind].stamped(&random), revision: revisions[key] ?? 0), kind)
    }

    private func choose() -> (Operation, Int) {
        let (pods, nodes, leases, configmaps, events) = (0, 1, 2, 3, 4)
        if let page {
            return (.list(key: page.key, end: folders[page.kind].end, limit: 500, revision: page.revision), page.kind)
        }
        switch random.next(below: 1_000) {
        case 0..<400: return update(leases)
        case 400..<600: return update(pods)
        case 600..<640: return update(nodes)
        case 640..<660: return update(configmaps)
        case 660..<860:
            let kind = random.next(below: 2) == 0 ? pods : events
            made += 1
            let number = 1_000_000 + ((round * 1_000 + lane) % 100_000) * 8_000 + made % 8_000
            return (.create(key: folders[kind].key(number), value: values[kind].stamped(&random), lease: 0), kind)
        case 860..<950:
            guard !own.isEmpty else { return (.get(key: object(pods)), pods) }
            let gone = own.remove(at: random.next(below: own.count))
            return (.remove(key: gone.key, revision: gone.revision), gone.kind)
        case 950..<990: return (.get(key: object(pods)), pods)
        case 990..<999:
            return (.list(key: folders[pods].first, end: folders[pods].end, limit: 500, revision: 0), pods)
        default: return (.list(key: folders[leases].first, end: folders[leases].end, limit: 0, revision: 0), leases)
        }
    }
}
