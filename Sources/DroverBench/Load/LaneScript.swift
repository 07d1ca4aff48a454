/// What one lane does: a call after the other, each chosen when the one before was answered. Used by one lane alone.
class LaneScript: @unchecked Sendable {
    init() {}

    /// The next call; nil ends the lane.
    ///
    /// - Parameter result: what came of the call before; nil at first and after a failure.
    func next(after result: OperationResult?) -> Operation? { nil }

    /// Whether the call before is timed: helpers between two measured calls are not.
    var isMeasured: Bool { true }
}

/// A lane that asks a closure.
final class ClosureScript: LaneScript, @unchecked Sendable {
    private let body: (OperationResult?) -> Operation?

    init(_ body: @escaping (OperationResult?) -> Operation?) { self.body = body }

    override func next(after result: OperationResult?) -> Operation? { body(result) }
}
