import Drover

/// The keys and values of all kernels, the same in every run.
enum Fixtures {
    /// Keys there are.
    static let keyCount = 1_024
    /// Calls that are committed together.
    static let batch = 64
    /// Rows of a page.
    static let page = 500

    static let prefix = Bytes("/registry/pods/default/".utf8)

    /// The key with a number, as Kubernetes has them.
    static func key(_ number: Int) -> Bytes {
        let digits = String(number)
        return prefix + Bytes("pod-".utf8) + Bytes(repeating: 0x30, count: 6 - digits.count) + Bytes(digits.utf8)
    }

    /// 1 KiB that does not compress.
    static let value: Bytes = {
        var state: UInt64 = 0x9e37_79b9_7f4a_7c15
        return (0..<1_024).map { _ in
            state = state &* 6_364_136_223_846_793_005 &+ 1_442_695_040_888_963_407
            return UInt8(truncatingIfNeeded: state >> 56)
        }
    }()

    static func put(_ number: Int) -> WriteOperation { .put(PutRequest(key: key(number), value: value)) }

    /// An update as the API server sends it: guarded by the revision it has seen, or the key as it is now.
    static func update(_ number: Int, revision: Int64) -> TxnRequest {
        TxnRequest(
            compares: [Compare(key: key(number), .modRevision(revision))],
            success: [.put(PutRequest(key: key(number), value: value))],
            failure: [.range(RangeRequest(KeyRange(lower: key(number), upper: .single)))]
        )
    }

    static func keyValue(_ number: Int) -> KeyValue {
        KeyValue(
            key: key(number),
            value: value,
            createRevision: Int64(number) + 2,
            modRevision: Int64(number) + 40_000,
            version: 7,
            lease: 0
        )
    }
}
