/// A key that was created or deleted.
struct CountDelta {
    var revision: Int64
    var key: Bytes
    /// 1 or -1.
    var change: Int64
}
