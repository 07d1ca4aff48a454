import Drover
import NIOCore

/// Reads the revision of a shared database, and who may do what, for answers that have nothing else to read: those that ask
/// during one read share the next, which sees all that happened before they asked. Used on its event loop.
final class RevisionReader {
    typealias Answer = (revision: Int64, system: LoadedSystem?)
    typealias Completion = (Result<Answer, any Error>) -> Void

    private unowned let context: LoopContext
    private var waiting: [Completion] = []
    private var isReading = false

    init(_ context: LoopContext) {
        self.context = context
    }

    /// Calls `completion` with the revision, as of now or later.
    func read(_ completion: @escaping Completion) {
        if waiting.count >= context.store.limits.queuedReads {
            return completion(.failure(DroverError(.tooManyRequests)))
        }
        waiting.append(completion)
        if !isReading { read() }
    }

    private func read() {
        let due = NIOLoopBound(waiting, eventLoop: context.loop)
        waiting = []
        isReading = true
        let bound = NIOLoopBound(self, eventLoop: context.loop)
        let (loop, store) = (context.loop, context.store)
        let refused = store.read { reader in
            let result: Result<Answer, any Error> = Result {
                let meta = try reader.readMeta()
                return (meta.revision, try store.system(meta, reader))
            }
            loop.execute { bound.value.complete(due.value, result) }
        }
        if let refused { complete(due.value, .failure(refused)) }
    }

    private func complete(_ due: [Completion], _ result: Result<Answer, any Error>) {
        isReading = false
        for completion in due { completion(result) }
        if !waiting.isEmpty && !isReading { read() }
        context.flush()
    }
}
