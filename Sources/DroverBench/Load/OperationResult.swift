/// What came of a call.
struct OperationResult: Sendable {
    /// The store's revision.
    var revision: Int64 = 0
    /// Of a guarded write: whether it was made.
    var succeeded = true
    /// Of a read: the keys in the answer, and when the only or last one was last changed.
    var keys = 0
    var modRevision: Int64 = 0
    var lastKey: [UInt8] = []
    var more = false
    var count: Int64 = 0
    /// Bytes of the answer.
    var bytes = 0
    /// Of a lock: its key.
    var lockKey: [UInt8] = []
    /// Of a lease: its id.
    var lease: Int64 = 0
}
