import Drover

/// Evaluating transactions: reading ones on a reader, writing ones in a group commit.
enum StoreKernels {
    static var all: [Kernel] {
        [
            Kernel("txn.read") {
                let (store, driver, finish) = try KernelPlace.temporary.filled()
                let reader = try driver.openReader()
                let request = TxnRequest(
                    compares: [Compare(key: Fixtures.key(1), .modRevision(2))],
                    success: [.range(RangeRequest(KeyRange(lower: Fixtures.key(2), upper: .single)))],
                    failure: [.range(RangeRequest(KeyRange(lower: Fixtures.key(3), upper: .single)))]
                )
                return KernelRun(finish: finish) { _ = try store.readOnlyTxn(request, reader) }
            },
            Kernel("txn.update", operations: Fixtures.batch) {
                let (store, _, finish) = try KernelPlace.temporary.filled()
                let batch = Batch()
                var seen = (0..<Fixtures.batch).map { Int64($0) + 2 }
                return KernelRun(finish: finish) {
                    let updates = seen.indices.map { WriteOperation.txn(Fixtures.update($0, revision: seen[$0])) }
                    let replies = try batch.submit(updates, to: store)
                    for (place, reply) in replies.enumerated() {
                        guard case .txn(let response) = reply, response.succeeded else {
                            throw DroverError(.internalFault, message: "an update did not find its key as it left it")
                        }
                        seen[place] = response.revision
                    }
                }
            },
        ]
    }
}
