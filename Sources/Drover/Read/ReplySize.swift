/// What a reply comes to that is not sent in pieces: one message can be 2 GiB. Source: etcd, `grpc.MaxCallSendMsgSize`.
struct ReplySize {
    static let most = Int(Int32.max)
    /// What a row has beside its key and value, at least.
    private static let rowBytes = 16

    private(set) var bytes = 0

    mutating func add(_ row: RowView) throws(DroverError) { try add(row.key.count + row.value.count) }

    mutating func add(_ kv: KeyValue) throws(DroverError) { try add(kv.key.count + kv.value.count) }

    private mutating func add(_ more: Int) throws(DroverError) {
        bytes += more + Self.rowBytes
        if bytes <= Self.most { return }
        throw DroverError(
            .tooManyRequests,
            message: "drover: the reply is longer than one message can be (2 GiB); ask for less at once"
        )
    }
}
