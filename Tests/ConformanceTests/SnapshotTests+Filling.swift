import Drover
import TestSupport

extension SnapshotTests {
    /// Writes many keys in few batches.
    func fill(_ backend: Backend, _ directory: String, count: Int64, lease: Int64) throws {
        let driver = try backend.makeDriver(directory)
        let writer = try driver.openWriter()
        var left = count
        while left > 0 {
            let meta = try writer.begin(BatchPrefetch()).meta
            var changes = ChangeSet(base: meta)
            changes.revision += 1
            if lease != 0 && left == count { changes.grantedLeases = [LeaseRecord(id: lease, grantedTTL: 100_000)] }
            let slice = min(left, 100_000)
            for i in 0..<slice {
                let key = Bytes("wide/\(left - i)".utf8)
                changes.events.append(
                    .init(
                        key: key,
                        value: [],
                        main: changes.revision,
                        sub: i,
                        createRevision: changes.revision,
                        version: 1,
                        lease: lease,
                        previousMain: 0,
                        previousSub: 0
                    )
                )
                changes.keys.append(
                    .init(
                        key: key,
                        before: nil,
                        after: KeyState(
                            main: changes.revision,
                            sub: i,
                            createRevision: changes.revision,
                            version: 1,
                            lease: lease
                        )
                    )
                )
            }
            try writer.commit(changes)
            left -= slice
        }
        writer.close()
        driver.close()
    }
}
