/// A target with its connections open.
protocol BenchSession: Sendable {
    /// Runs the lanes until each has no more to do or the recorder's time is over.
    func run(_ lanes: [LaneScript], pace: Pace, recorder: LoadRecorder) async throws

    /// Renews leases until the recorder's time is over.
    ///
    /// - Returns: how often a lease was said to have gone.
    func keepAlive(_ plan: KeepAlivePlan, clients: Int, recorder: LoadRecorder) async throws -> Int

    /// One call, for setting up and looking after.
    func perform(_ operation: Operation) async throws -> OperationResult

    /// Watches keys until it is ended.
    func watch(_ request: WatchPlan, _ sink: WatchSink) async throws -> any BenchWatch

    func close() async
}

/// What a watch asks for.
struct WatchPlan: Sendable {
    var key: [UInt8]
    var end: [UInt8]
    /// 0 is from now on.
    var startRevision: Int64 = 0
    var wantsPrevious = false
    /// Asks for progress ten times a second, as Kubernetes does while lists wait for its cache.
    var asksForProgress = false

    static let progressNanoseconds: UInt64 = 100_000_000
}

/// An open watch.
protocol BenchWatch: Sendable {
    func end() async
}

/// A target that can be opened.
protocol BenchTarget: Sendable {
    var name: String { get }
    /// What it is, for reports.
    var details: String { get }
    /// Whether it runs in this process, so that the load is in its figures.
    var isInProcess: Bool { get }
    /// Whether a store in this process is on a database server, whose process has no part in its figures.
    var isOnServer: Bool { get }

    /// - Parameters:
    ///   - connections: of the wire; a target in the process has none.
    func open(connections: Int) async throws -> any BenchSession

    /// The process that serves, where it is this machine's.
    var process: Int32? { get }
}
