import Drover
import Foundation
import Synchronization

/// Submits calls that are committed together, and waits for their answers.
final class Batch: ReplySink {
    private struct State {
        var waiting = 0
        var error: DroverError?
        var replies: [WriteReply] = []
    }

    private let state = Mutex(State())
    private let done = DispatchSemaphore(value: 0)

    /// - Returns: the replies, in the order they came.
    @discardableResult
    func submit(_ operations: [WriteOperation], to store: Store) throws -> [WriteReply] {
        state.withLock { $0 = State(waiting: operations.count) }
        store.submit(operations.map { WriteCall(operation: $0, sink: self, token: 0) })
        done.wait()
        return try state.withLock { state in
            if let error = state.error { throw error }
            return state.replies
        }
    }

    func deliver(_ completions: [WriteCompletion]) {
        let isDone = state.withLock { state in
            for completion in completions {
                switch completion.result {
                case .success(let reply): state.replies.append(reply)
                case .failure(let error): state.error = error
                }
            }
            state.waiting -= completions.count
            return state.waiting == 0
        }
        if isDone { done.signal() }
    }
}
