/// One thing that is measured. Every workload works under a prefix of its own.
protocol Workload: Sendable {
    /// Whether a round lasts as long as what it measures, and not for a time.
    var isMeasuredOnce: Bool { get }

    /// Whether it works on keys that an earlier run may have left in a folder.
    var findsKeys: Bool { get }

    /// What the store must hold before a round; what it need hold once alone is for the first one.
    func prepare(_ bench: WorkloadBench) async throws

    /// One round: it calls the bench's `begin` when it is ready, and what it measures goes to the bench's recorder.
    ///
    /// - Returns: further figures by name, such as the events that were lost.
    func run(_ bench: WorkloadBench) async throws -> [String: Double]
}

extension Workload {
    var isMeasuredOnce: Bool { false }
    var findsKeys: Bool { false }

    func prepare(_ bench: WorkloadBench) async throws {}
}
