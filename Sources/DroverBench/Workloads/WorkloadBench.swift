/// What a workload works with, for one round.
struct WorkloadBench: Sendable {
    let session: any BenchSession
    let target: any BenchTarget
    let settings: BenchSettings
    /// The prefix of the workload's keys; nobody else's, unless it finds them in a folder that the settings name.
    let prefix: String
    let round: Int
    let recorder: LoadRecorder
    /// Opens the recorder's time: what a workload needs first, such as its watches, is not in it.
    let begin: @Sendable () -> Void

    var pace: Pace { settings.rate > 0 ? .open(callsPerSecond: settings.rate) : .closed }

    /// The first of the ids that the round's leases have: no other run's, of which some may still live.
    var firstLease: Int64 {
        // FNV-1a; the lowest 28 bits number the leases of up to a hundred rounds.
        let hash = prefix.utf8.reduce(14_695_981_039_346_656_037 as UInt64) { ($0 ^ UInt64($1)) &* 1_099_511_628_211 }
        return Int64(hash >> 1 & ~0xfff_ffff) + Int64(round * 2_000_000) + 1
    }

    func keys(_ folder: String) -> KeyMaker {
        KeyMaker(prefix: prefix + folder, size: SizeDistribution(settings.keySize)!, seed: settings.seed)
    }

    func values() -> ValueMaker { ValueMaker(SizeDistribution(settings.valueSize)!, seed: settings.seed) }

    func random(_ lane: Int) -> FastRandom {
        FastRandom(seed: settings.seed &+ UInt64(lane) &* 1_000_003 &+ UInt64(round) &* 7_919)
    }

    /// Writes `--history` revisions, one put each, of all keys of a folder in turn.
    func writeHistory(_ keys: KeyMaker) async throws {
        let (history, lanes) = (settings.history, min(settings.lanes, 100))
        let values = values()
        let recorder = LoadRecorder(parts: 1, begin: 0, end: .max)
        let scripts: [LaneScript] = (0..<lanes).map { lane in
            var random = random(lane)
            var next = lane
            return ClosureScript { _ in
                defer { next += lanes }
                if next >= history { return nil }
                return .put(key: keys.key(next % settings.keys), value: values.next(&random), lease: 0)
            }
        }
        try await session.run(scripts, pace: .closed, recorder: recorder)
        if let error = recorder.total().errors.first {
            throw OperationFailure(description: "the history could not be written: \(error.key)")
        }
    }

    /// Fills a folder with as many keys as the settings say, unless an earlier run has left them.
    func fill(_ keys: KeyMaker) async throws {
        guard settings.folder != nil else { return try await fill(keys, 0..<settings.keys) }
        // What the names of keys depend on is in the name of a mark beside them.
        let mark = Array("\(prefix.dropLast())-filled/\(settings.keySize)/\(settings.valueSize)/\(settings.seed)".utf8)
        let found = try await session.perform(.count(key: keys.first, end: keys.end)).count
        if found > 0, try await session.perform(.get(key: mark)).keys == 0 || found > settings.keys {
            throw OperationFailure(
                description:
                    "the folder holds other keys than --keys, --key-size, --value-size and --seed make; name another"
            )
        }
        if found == settings.keys { return }
        try await fill(keys, 0..<settings.keys, beside: [(mark, [])])
    }

    /// Fills a folder with keys, a hundred in a transaction or a megabyte; one by one where the target knows no
    /// transactions but those that Kubernetes sends, as kine.
    ///
    /// - Parameter others: what is put together with the first of them.
    func fill(
        _ keys: KeyMaker,
        _ range: Range<Int>,
        with given: ValueMaker? = nil,
        beside others: [(key: [UInt8], value: [UInt8])] = []
    ) async throws {
        let values = given ?? self.values()
        var random = random(0)
        var puts = others
        var bytes = 0
        var isOneByOne = false
        func write() async throws {
            if !isOneByOne {
                do {
                    _ = try await session.perform(.fill(puts))
                } catch let failure as OperationFailure {
                    isOneByOne = true
                    // A failure of another cause comes again, and then counts.
                    try await create(puts, insteadOf: failure)
                }
            } else {
                try await create(puts)
            }
            (puts, bytes) = ([], 0)
        }
        for i in range {
            let value = values.next(&random)
            if puts.count >= 100 + (i <= 100 ? others.count : 0) || bytes + value.count > 1_000_000, !puts.isEmpty {
                try await write()
            }
            puts.append((keys.key(i), value))
            bytes += value.count
        }
        if !puts.isEmpty { try await write() }
    }

    /// Creates keys, each by a call of its own.
    private func create(
        _ puts: [(key: [UInt8], value: [UInt8])],
        insteadOf failure: OperationFailure? = nil
    ) async throws {
        let recorder = LoadRecorder(parts: 1, begin: 0, end: .max)
        let lanes = min(settings.lanes, puts.count)
        let scripts: [LaneScript] = (0..<lanes).map { lane in
            var next = lane
            return ClosureScript { _ in
                defer { next += lanes }
                if next >= puts.count { return nil }
                return .create(key: puts[next].key, value: puts[next].value, lease: 0)
            }
        }
        try await session.run(scripts, pace: .closed, recorder: recorder)
        if let error = recorder.total().errors.first {
            throw failure ?? OperationFailure(description: "the store could not be filled: \(error.key)")
        }
    }
}
