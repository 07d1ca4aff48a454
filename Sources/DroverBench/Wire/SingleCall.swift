import NIOCore

/// One call by itself.
final class SingleCall: LoadConnection.Receiver {
    private let operation: Operation
    private let promise: EventLoopPromise<OperationResult>
    private var result: OperationResult?

    init(_ operation: Operation, _ promise: EventLoopPromise<OperationResult>) {
        self.operation = operation
        self.promise = promise
    }

    func receive(_ message: ByteBufferView) {
        result = try? message.withUnsafeBytes { try WireForm.read(operation, $0) }
    }

    func end(_ failure: OperationFailure?) {
        if let result, failure == nil {
            promise.succeed(result)
        } else {
            promise.fail(failure ?? OperationFailure(description: "the call ended without a reply"))
        }
    }
}
