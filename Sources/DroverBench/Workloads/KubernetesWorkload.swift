import Synchronization

/// What the apiserver of a cluster of N nodes sends: objects of several kinds and sizes, created, updated from the revision
/// they were read at and deleted, leases that nodes renew, events, pages, whole lists, and a watch of each kind with the
/// old values and progress requests. Source: k8s.io/apiserver `pkg/storage/etcd3`.
struct KubernetesWorkload: Workload {
    /// Kinds of objects, how many a node has, and their bytes.
    enum Kind: String, CaseIterable {
        case pods, nodes, leases, configmaps, events

        var perNode: Double {
            switch self {
            case .pods: 30
            case .nodes, .leases: 1
            case .configmaps: 2
            case .events: 5
            }
        }

        var size: SizeDistribution {
            switch self {
            case .pods: .uniform(2_000, 6_000)
            case .nodes: .uniform(6_000, 12_000)
            case .leases: .uniform(400, 600)
            case .configmaps: .zipf(200, 20_000)
            case .events: .uniform(600, 1_200)
            }
        }
    }

    private func count(_ kind: Kind, _ bench: WorkloadBench) -> Int {
        max(1, Int(kind.perNode * Double(bench.settings.nodes)))
    }

    private func keys(_ kind: Kind, _ bench: WorkloadBench) -> KeyMaker {
        KeyMaker(prefix: "\(bench.prefix)registry/\(kind.rawValue)/default/object-", size: .fixed(0), seed: 1)
    }

    func prepare(_ bench: WorkloadBench) async throws {
        if bench.round > 0 { return }
        for kind in Kind.allCases {
            let values = ValueMaker(kind.size, seed: bench.settings.seed)
            try await bench.fill(keys(kind, bench), 0..<count(kind, bench), with: values)
        }
    }

    func run(_ bench: WorkloadBench) async throws -> [String: Double] {
        let kinds = Kind.allCases
        let folders = kinds.map { keys($0, bench) }
        // The watch caches of two apiservers.
        let plans = (folders + folders).map {
            WatchPlan(key: $0.first, end: $0.end, wantsPrevious: true, asksForProgress: true)
        }
        let fleet = try await WatchFleet(bench, plans, isStamped: true)
        let none = [Int](repeating: 0, count: kinds.count)
        let written = Mutex((made: none, unsure: none))
        let objects = ClusterObjects(counts: kinds.map { count($0, bench) }, round: bench.round)
        let values = kinds.map { ValueMaker($0.size, seed: bench.settings.seed) }
        try await fillCaches(objects, folders, bench)
        // No more of them than nodes, so that hardly ever two want to renew one lease; each is asked about once a second where
        // the loop is open.
        var lanes = max(1, min(bench.settings.lanes, bench.settings.nodes))
        if bench.settings.rate > 0 { lanes = min(lanes, max(1, Int(bench.settings.rate))) }
        let scripts: [LaneScript] = (0..<lanes).map { lane in
            Apiserver(
                objects: objects,
                folders: folders,
                values: values,
                random: bench.random(lane)
            ) { kind, isSure in
                written.withLock { if isSure { $0.made[kind] += 1 } else { $0.unsure[kind] += 1 } }
            }
        }
        bench.begin()
        try await bench.session.run(scripts, pace: bench.pace, recorder: bench.recorder)
        let (made, unsure) = written.withLock { $0 }
        // What is told while calls go on, before the rest is waited for.
        let told = Double(bench.recorder.told.load(ordering: .relaxed)) / bench.settings.seconds
        var figures = await fleet.settle(expected: made + made, unsure: unsure + unsure)
        figures["events/s"] = told
        return figures
    }

    /// Reads when each object was last changed, as apiservers' caches do when they start.
    private func fillCaches(_ objects: ClusterObjects, _ folders: [KeyMaker], _ bench: WorkloadBench) async throws {
        let all = Kind.allCases.enumerated().flatMap { kind, name in (0..<count(name, bench)).map { (kind, $0) } }
        let lanes = min(bench.settings.lanes, 100)
        let recorder = LoadRecorder(parts: 1, begin: 0, end: .max)
        let scripts: [LaneScript] = (0..<lanes).map { lane in
            var next = lane
            return ClosureScript { result in
                if let result, next >= lanes {
                    let (kind, number) = all[next - lanes]
                    objects.learn(kind, number, revision: result.modRevision)
                }
                defer { next += lanes }
                if next >= all.count { return nil }
                return .get(key: folders[all[next].0].key(all[next].1))
            }
        }
        try await bench.session.run(scripts, pace: .closed, recorder: recorder)
        if let error = recorder.total().errors.first {
            throw OperationFailure(description: "the objects could not be read: \(error.key)")
        }
    }
}
