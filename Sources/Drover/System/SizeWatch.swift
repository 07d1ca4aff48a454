/// Measures the database now and then, for the quota.
final class SizeWatch: Sendable {
    private static let round: Int64 = 1_000_000_000

    private let quota: Quota
    private let stopping = Condition(false)
    // Of the thread that opens the store until it is started.
    private nonisolated(unsafe) var reader: (any DriverReader)?
    private nonisolated(unsafe) var thread: WorkerThread?

    init(_ quota: Quota, _ reader: any DriverReader) throws {
        self.quota = quota
        quota.measured(try reader.size().total)
        self.reader = reader
    }

    /// Starts the thread.
    func start() {
        // Handed to its thread and used nowhere else.
        nonisolated(unsafe) let reader = reader!
        self.reader = nil
        thread = WorkerThread(name: "drover-size") { self.run(reader) }
    }

    private func run(_ reader: any DriverReader) {
        while stopping.wait(nanoseconds: Self.round, { $0 ? true : nil }) == nil {
            // A database that cannot be asked takes no writes either.
            if let size = try? reader.size() { quota.measured(size.total) }
        }
    }

    func stop() {
        stopping.withLock { $0 = true }
        stopping.broadcast()
        thread?.join()
    }
}
