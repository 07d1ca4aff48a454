import DequeModule

/// A read of one key's newest state.
public struct PointCall: Sendable {
    /// The key.
    public var key: Bytes
    /// Where the answer goes.
    public var sink: any PointSink
    /// What the answer carries back.
    public var token: UInt64
    /// On whose behalf it is made.
    public var caller: Caller

    /// A call from its parts.
    public init(key: Bytes, sink: any PointSink, token: UInt64, caller: Caller = .trusted) {
        self.key = key
        self.caller = caller
        self.sink = sink
        self.token = token
    }
}

/// The answer to a ``PointCall``.
public struct PointAnswer: Sendable {
    /// The number that the caller gave the call.
    public var token: UInt64
    /// The store's revision and the key, if it exists, from one snapshot.
    public var result: Result<(revision: Int64, kv: KeyValue?), DroverError>
}

/// Where answers of point reads go: one call per sink and statement.
public protocol PointSink: AnyObject, Sendable {
    /// Takes answers. Called on a reader's thread, or, for what cannot be queued, on the caller's before the call returns;
    /// must not block.
    func deliver(_ answers: [PointAnswer])
}

/// Point reads of a shared database: those that queue during one statement go together in the next.
final class PointReader: Sendable {
    private struct State {
        var calls: Deque<PointCall> = []
        var stopping = false
    }

    private let state = Condition(State())
    private let limits: Limits
    private let noticed: @Sendable (StoreMeta) -> Void
    private let system: @Sendable (StoreMeta, any DriverView) throws -> LoadedSystem?
    // Of the thread that opens the store until they are started.
    private nonisolated(unsafe) var readers: [any DriverReader] = []
    private nonisolated(unsafe) var threads: [WorkerThread] = []

    /// Opens the connections.
    init(
        driver: any Driver,
        limits: Limits,
        noticed: @escaping @Sendable (StoreMeta) -> Void,
        system: @escaping @Sendable (StoreMeta, any DriverView) throws -> LoadedSystem?
    ) throws {
        self.limits = limits
        self.system = system
        self.noticed = noticed
        for _ in 0..<limits.pointThreads { readers.append(try driver.openReader()) }
    }

    /// Starts the threads.
    func start() {
        for (number, reader) in readers.enumerated() {
            // Handed to its thread and used nowhere else.
            nonisolated(unsafe) let reader = reader
            threads.append(WorkerThread(name: "drover-point-\(number)") { self.run(reader) })
        }
        readers = []
    }

    /// Queues calls, or says why not.
    func submit(_ calls: [PointCall]) -> DroverError? {
        let refused = state.withLock { state -> DroverError? in
            if state.stopping { return DroverError(.stopped) }
            if state.calls.count + calls.count > limits.queuedReads { return DroverError(.tooManyRequests) }
            state.calls.append(contentsOf: calls)
            return nil
        }
        if refused == nil { state.signal() }
        return refused
    }

    private func run(_ reader: any DriverReader) {
        while true {
            let taken = state.wait { state -> [PointCall]? in
                if !state.calls.isEmpty {
                    let count = self.batch(state.calls)
                    let calls = Array(state.calls.prefix(count))
                    state.calls.removeFirst(count)
                    return calls
                }
                return state.stopping ? [] : nil
            }
            if taken.isEmpty { return }
            answerAll(taken, reader)
        }
    }

    /// How many of the calls go together: a statement that holds their keys must fit the smallest packets that servers take.
    private func batch(_ calls: Deque<PointCall>) -> Int {
        var (count, bytes) = (0, 0)
        for call in calls {
            bytes += call.key.count
            if count == limits.pointBatch || count > 0 && bytes > limits.pointKeyBytes { break }
            count += 1
        }
        return count
    }

    /// Answers calls that go together in one statement; those whose values are too long for that in further ones.
    private func answerAll(_ calls: [PointCall], _ reader: any DriverReader) {
        var group: [PointCall] = []
        var bytes = 0
        for (calls, length) in answer(calls, isBounded: true, reader) {
            if !group.isEmpty && bytes + length > limits.pointBytes {
                _ = answer(group, isBounded: false, reader)
                group = []
                bytes = 0
            }
            group += calls
            bytes += length
        }
        if !group.isEmpty { _ = answer(group, isBounded: false, reader) }
    }

    /// - Parameter isBounded: whether several keys bring no value longer than its share of what a statement may bring.
    /// - Returns: by key, the calls whose value is longer, with its length: they are not answered.
    private func answer(
        _ calls: [PointCall],
        isBounded: Bool,
        _ reader: any DriverReader
    ) -> [(calls: [PointCall], length: Int)] {
        var places: [Bytes: Int] = [:]
        var keys: [Bytes] = []
        let indices = calls.map { call in
            if let known = places[call.key] { return known }
            places[call.key] = keys.count
            keys.append(call.key)
            return keys.count - 1
        }
        var found = [KeyValue?](repeating: nil, count: keys.count)
        var left: [Int: (calls: [PointCall], length: Int)] = [:]
        let longest = isBounded && keys.count > 1 ? limits.pointBytes / keys.count : .max
        let result: Result<Int64, DroverError>
        var system: LoadedSystem?
        do {
            let meta = try reader.points(keys, longest: longest) { place, row in
                if row.valueLength > row.value.count {
                    left[place] = ([], row.valueLength)
                } else {
                    found[place] = row.keyValue()
                }
            }
            noticed(meta)
            system = try self.system(meta, reader)
            result = .success(meta.revision)
        } catch {
            left = [:]
            result = .failure((error as? DriverFailure)?.asDroverError ?? DroverError(.internalFault, cause: error))
        }
        var groups: [(sink: any PointSink, answers: [PointAnswer])] = []
        for (call, place) in zip(calls, indices) {
            if left[place] != nil {
                left[place]!.calls.append(call)
                continue
            }
            var answer = PointAnswer(token: call.token, result: result.map { ($0, found[place]) })
            if let system {
                do {
                    try system.checkRead(KeyRange(lower: call.key, upper: .single), call.caller)
                } catch {
                    answer.result = .failure(error)
                }
            }
            if let i = groups.firstIndex(where: { $0.sink === call.sink }) {
                groups[i].answers.append(answer)
            } else {
                groups.append((call.sink, [answer]))
            }
        }
        for group in groups { group.sink.deliver(group.answers) }
        return Array(left.values)
    }

    /// Does what waits, then ends the threads.
    func stop() {
        state.withLock { $0.stopping = true }
        state.broadcast()
        for thread in threads { thread.join() }
        threads = []
    }
}

/// Resumes one caller of the asynchronous face.
final class ContinuationPointSink: PointSink {
    private let continuation: CheckedContinuation<(revision: Int64, kv: KeyValue?), any Error>

    init(_ continuation: CheckedContinuation<(revision: Int64, kv: KeyValue?), any Error>) {
        self.continuation = continuation
    }

    func deliver(_ answers: [PointAnswer]) {
        continuation.resume(with: answers[0].result)
    }
}
