import DequeModule
import Logging

/// Threads that read, each with a connection of its own.
final class ReaderPool: Sendable {
    typealias Job = @Sendable (any DriverReader) -> Void

    private struct State {
        var jobs: Deque<(run: Job, bytes: Int)> = []
        var bytes = 0
        var waiting = 0
        var stopping = false
    }

    private let state = Condition(State())
    private let limit: Int
    private let byteLimit: Int
    // Of the thread that opens the store until they are started.
    private nonisolated(unsafe) var readers: [any DriverReader] = []
    private nonisolated(unsafe) var threads: [WorkerThread] = []

    /// Opens the connections.
    init(driver: any Driver, count: Int, queueLimit: Int, byteLimit: Int) throws {
        limit = queueLimit
        self.byteLimit = byteLimit
        for _ in 0..<count { readers.append(try driver.openReader()) }
    }

    /// Starts the threads.
    func start() {
        for (number, reader) in readers.enumerated() {
            // Handed to its thread and used nowhere else.
            nonisolated(unsafe) let reader = reader
            threads.append(WorkerThread(name: "drover-read-\(number)") { [state] in Self.run(state, reader) })
        }
        readers = []
    }

    private static func run(_ state: Condition<State>, _ reader: any DriverReader) {
        while true {
            let job = state.wait { state -> Job?? in
                if let job = state.jobs.popFirst() {
                    state.bytes -= job.bytes
                    return .some(job.run)
                }
                if state.stopping { return .some(nil) }
                return nil
            }
            guard let job else { return }
            job(reader)
            reader.endSnapshot()
        }
    }

    /// Runs `job` on a reader thread, or says why not: too many wait, or the pool was stopped.
    ///
    /// - Parameter bytes: what the job's request holds while it waits.
    func submit(bytes: Int = 0, _ job: @escaping Job) -> DroverError? {
        let refused = state.withLock { state -> DroverError? in
            if state.stopping { return DroverError(.stopped) }
            if state.jobs.count >= limit || state.bytes + bytes > byteLimit && !state.jobs.isEmpty {
                return DroverError(.tooManyRequests)
            }
            state.jobs.append((job, bytes))
            state.bytes += bytes
            return nil
        }
        if refused == nil { state.signal() }
        return refused
    }

    /// Does what waits, then ends the threads.
    func stop() {
        state.withLock { $0.stopping = true }
        state.broadcast()
        for thread in threads { thread.join() }
        threads = []
    }
}
