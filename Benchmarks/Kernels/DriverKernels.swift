import Drover

/// What each engine's driver costs, beside what the engine does.
enum DriverKernels {
    static func all(_ place: KernelPlace) -> [Kernel] {
        [
            Kernel("\(place.name).commit", operations: Fixtures.batch) {
                let (store, _, finish) = try place.filled()
                let batch = Batch()
                let puts = (0..<Fixtures.batch).map(Fixtures.put)
                return KernelRun(finish: finish) { try batch.submit(puts, to: store) }
            },
            Kernel("\(place.name).point") {
                let (_, driver, finish) = try place.filled()
                let reader = try driver.openReader()
                let key = Fixtures.key(7)
                return KernelRun(finish: finish) {
                    var found = 0
                    _ = try reader.point(key, values: true, longest: .max) { found += $0.value.count }
                    if found != Fixtures.value.count { throw DroverError(.internalFault) }
                }
            },
            Kernel("\(place.name).page", operations: Fixtures.page) {
                let (_, driver, finish) = try place.filled()
                return try page(try driver.openReader(), at: nil, finish)
            },
            // As Kubernetes reads on in a list while others write.
            Kernel("\(place.name).past", operations: Fixtures.page) {
                let (store, driver, finish) = try place.filled()
                let reader = try driver.openReader()
                let revision = try reader.beginSnapshot().revision
                reader.endSnapshot()
                try Batch().submit((0..<Fixtures.batch).map(Fixtures.put), to: store)
                return try page(reader, at: revision, finish)
            },
        ]
    }

    /// A page of values, now or at a revision.
    private static func page(
        _ reader: any DriverReader,
        at revision: Int64?,
        _ finish: @escaping () -> Void
    ) throws -> KernelRun {
        let range = KeyRange(prefix: Fixtures.prefix)
        return KernelRun(finish: finish) {
            var found = 0
            defer { reader.endSnapshot() }
            _ = try reader.beginSnapshot()
            try reader.scan(range, at: revision, values: true, expecting: Fixtures.page) { _ in
                found += 1
                return found < Fixtures.page
            }
            if found != Fixtures.page { throw DroverError(.internalFault) }
        }
    }
}
