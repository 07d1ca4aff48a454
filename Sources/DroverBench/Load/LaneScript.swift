/// What one lane does: a call after the other, each chosen when the one before was answered. Used by one lane alone.
class LaneScript: @unchecked Sendable {
    init() {}

    /// The next call; nil ends the lane.
    ///
    /// - Parameter result: what came of the call before; nil at first and after a failure.
    func next(after result: OperationResult?) -> Operation? { nil }

    /// Whether an answer has what it must have: one that lacks keys is no fast one.
    func isComplete(_ operation: Operation, _ result: OperationResult) -> Bool { true }

    /// Whether what it puts begins with the moment from which the call's time counts.
    var isStamped: Bool { false }
}

/// A lane that asks a closure.
final class ClosureScript: LaneScript, @unchecked Sendable {
    private let body: (OperationResult?) -> Operation?
    private let stamps: Bool
    private let keys: Int

    /// - Parameter keys: how many each read must find.
    init(isStamped: Bool = false, finding keys: Int = 0, _ body: @escaping (OperationResult?) -> Operation?) {
        self.body = body
        stamps = isStamped
        self.keys = keys
    }

    override func isComplete(_ operation: Operation, _ result: OperationResult) -> Bool {
        switch operation {
        case .get, .list: result.keys >= keys
        case .count: result.count >= Int64(keys)
        default: true
        }
    }

    override var isStamped: Bool { stamps }

    override func next(after result: OperationResult?) -> Operation? { body(result) }
}
