import Drover
import Synchronization

/// An open store.
final class LibrarySession: BenchSession {
    private let store: Store

    init(_ store: Store) { self.store = store }

    func run(_ lanes: [LaneScript], pace: Pace, recorder: LoadRecorder) async throws {
        let start = Clock.now()
        await withTaskGroup(of: Void.self) { group in
            for (lane, script) in lanes.enumerated() {
                group.addTask {
                    var schedule: Schedule?
                    if case .open(let rate) = pace {
                        schedule = Schedule(callsPerSecond: rate, lane: lane, lanes: lanes.count, start: start)
                    }
                    await self.run(script, lane, schedule, recorder)
                }
            }
        }
    }

    private func run(_ script: LaneScript, _ lane: Int, _ schedule: Schedule?, _ recorder: LoadRecorder) async {
        var schedule = schedule
        var last: OperationResult?
        var failures: UInt64 = 0
        // Asked at the end too, so that the script knows what came of its last call.
        while var operation = script.next(after: last) {
            var began = Clock.now()
            if let known = schedule, !operation.followsAtOnce {
                if began > recorder.end &+ LoadRecorder.grace { return recorder.leave(known, lane: lane) }
                let due = schedule!.next()
                if due >= recorder.end { return }
                if due > began { try? await Task.sleep(nanoseconds: due - began) }
                began = due
            } else if schedule == nil && began >= recorder.end {
                return
            }
            if script.isStamped { operation.stamp(began) }
            do {
                let result = try await perform(operation)
                recorder.record(
                    result.succeeded ? operation.kind : .conflict,
                    lane: lane,
                    began: began,
                    ended: Clock.now(),
                    bytes: result.bytes,
                    keys: result.keys
                )
                if !script.isComplete(operation, result) {
                    recorder.fail("an answer lacks keys", lane: lane, began: began)
                }
                last = result
            } catch {
                recorder.fail((error as? DroverError)?.message ?? "\(error)", lane: lane, began: began)
                last = nil
                failures += 1
                try? await Task.sleep(nanoseconds: min(1_000, failures) * 1_000_000)
            }
        }
    }

    func keepAlive(_ plan: KeepAlivePlan, clients: Int, recorder: LoadRecorder) async throws -> Int {
        await withTaskGroup(of: Int.self) { group in
            for client in 0..<clients {
                group.addTask { await self.keepAlive(plan, client, clients, recorder) }
            }
            return await group.reduce(0, +)
        }
    }

    private func keepAlive(_ plan: KeepAlivePlan, _ client: Int, _ clients: Int, _ recorder: LoadRecorder) async -> Int
    {
        let (gone, waiting) = (Counter(), Counter())
        var due = Clock.now() + UInt64(client) * KeepAlivePlan.burstNanoseconds / UInt64(clients)
        var burst = 0
        while due < recorder.end {
            let now = Clock.now()
            if due > now { try? await Task.sleep(nanoseconds: due - now) }
            // Begun together, as over the wire: none waits for the answer to another.
            for lease in plan.due(burst: burst, client: client, of: clients) {
                let began = due
                waiting.add(1)
                store.renewLease(lease) { result in
                    switch result {
                    case .success(let ttl):
                        if ttl == nil { gone.add(1) }
                        recorder.record(.keepAlive, lane: client, began: began, ended: Clock.now())
                    case .failure(let error): recorder.fail(error.message, lane: client, began: began)
                    }
                    waiting.add(-1)
                }
            }
            burst += 1
            due += KeepAlivePlan.burstNanoseconds
        }
        while waiting.value > 0 && Clock.now() < recorder.end &+ LoadRecorder.grace {
            try? await Task.sleep(nanoseconds: 10_000_000)
        }
        recorder.fail("a renewal was not answered", lane: client, began: 0, count: waiting.value)
        return gone.value
    }

    private final class Counter: Sendable {
        private let count = Atomic(0)
        var value: Int { count.load(ordering: .relaxed) }
        func add(_ number: Int) { count.add(number, ordering: .relaxed) }
    }

    func perform(_ operation: Operation) async throws -> OperationResult {
        var result = OperationResult()
        switch operation {
        case .put(let key, let value, let lease):
            result.revision = try await store.put(PutRequest(key: Bytes(key), value: Bytes(value), lease: lease))
                .revision
            result.modRevision = result.revision
        case .get(let key):
            var request = RangeRequest(key: Bytes(key))
            request.limit = 1
            take(try await store.range(request), &result)
        case .list(let key, let end, let limit, let revision):
            var request = RangeRequest(KeyRange(key: Bytes(key), rangeEnd: Bytes(end)))
            request.limit = limit
            request.revision = revision
            take(try await store.range(request), &result)
        case .count(let key, let end):
            var request = RangeRequest(KeyRange(key: Bytes(key), rangeEnd: Bytes(end)))
            request.countOnly = true
            take(try await store.range(request), &result)
        case .delete(let key, let end):
            let range = KeyRange(key: Bytes(key), rangeEnd: Bytes(end))
            result.revision = try await store.delete(DeleteRangeRequest(range)).revision
            result.modRevision = result.revision
        case .create(let key, let value, let lease):
            try await guarded(
                key,
                0,
                .put(PutRequest(key: Bytes(key), value: Bytes(value), lease: lease)),
                reads: false,
                &result
            )
        case .update(let key, let value, let revision):
            try await guarded(
                key,
                revision,
                .put(PutRequest(key: Bytes(key), value: Bytes(value))),
                reads: true,
                &result
            )
        case .remove(let key, let revision):
            try await guarded(key, revision, .deleteRange(DeleteRangeRequest(key: Bytes(key))), reads: true, &result)
        case .fill(let puts):
            let operations = puts.map { RequestOperation.put(PutRequest(key: Bytes($0.key), value: Bytes($0.value))) }
            result.revision = try await store.txn(TxnRequest(success: operations)).revision
        case .grant(let id, let seconds):
            result.lease = try await store.grantLease(ttl: seconds, id: id).id
        case .keepAlive(let id):
            result.succeeded = try await store.keepAlive(id) != nil
        case .revoke(let id): try await store.revokeLease(id)
        case .compact(let revision): try await store.compact(to: revision, physical: true)
        case .lock(let name, let lease): result.lockKey = Array(try await store.lock(Bytes(name), lease: lease).key)
        case .unlock(let key): result.revision = try await store.delete(DeleteRangeRequest(key: Bytes(key))).revision
        }
        return result
    }

    private func guarded(
        _ key: [UInt8],
        _ revision: Int64,
        _ write: RequestOperation,
        reads: Bool,
        _ result: inout OperationResult
    ) async throws {
        let reply = try await store.txn(
            TxnRequest(
                compares: [Compare(key: Bytes(key), .modRevision(revision))],
                success: [write],
                failure: reads ? [.range(RangeRequest(key: Bytes(key)))] : []
            )
        )
        result.revision = reply.revision
        result.succeeded = reply.succeeded
        result.modRevision = reply.revision
        if !reply.succeeded, case .range(let found)? = reply.responses.first {
            result.modRevision = found.kvs.first?.modRevision ?? 0
        }
    }

    private func take(_ reply: RangeResponse, _ result: inout OperationResult) {
        result.revision = reply.revision
        result.keys = reply.kvs.count
        result.count = reply.count
        result.more = reply.more
        for kv in reply.kvs { result.bytes += kv.key.count + kv.value.count }
        if let last = reply.kvs.last {
            result.lastKey = Array(last.key)
            result.modRevision = last.modRevision
        }
    }

    func watch(_ plan: WatchPlan, _ sink: WatchSink) async throws -> any BenchWatch {
        var request = WatchRequest(KeyRange(key: Bytes(plan.key), rangeEnd: Bytes(plan.end)))
        request.startRevision = plan.startRevision
        request.wantsPrevious = plan.wantsPrevious
        let events = try await store.watch(request)
        let asking =
            plan.asksForProgress
            ? Task {
                while true {
                    try await Task.sleep(nanoseconds: WatchPlan.progressNanoseconds)
                    events.requestProgress()
                }
            } : nil
        let task = Task {
            defer { asking?.cancel() }
            do {
                for try await batch in events {
                    if batch.events.isEmpty { sink.toldProgress() }
                    sink.take { taken in
                        for event in batch.events {
                            event.kv.key.withUnsafeBytes { key in
                                event.kv.value.withUnsafeBytes { taken.add(key, event.kv.modRevision, $0) }
                            }
                        }
                    }
                }
            } catch {
                sink.fail("\(error)")
            }
        }
        return LibraryWatch(task: task)
    }

    func close() async { await store.close() }
}

private struct LibraryWatch: BenchWatch {
    let task: Task<Void, Never>

    func end() async {
        task.cancel()
        await task.value
    }
}
