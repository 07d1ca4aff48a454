import Drover
import Foundation
import Synchronization

/// The hub: who gets an event, and who does not.
enum WatchKernels {
    static var all: [Kernel] {
        [
            // Each event goes to a hundred watches of the prefix.
            watches("watch.fan-out", count: 100, hits: 100) { _ in KeyRange(prefix: Fixtures.prefix) },
            // Each event is none of ten thousand watches' on keys of their own, and one's.
            watches("watch.none", count: 10_000, hits: 1) { number in
                number == 0
                    ? KeyRange(prefix: Fixtures.prefix)
                    : KeyRange(lower: Bytes("/elsewhere/\(number)".utf8), upper: .single)
            },
        ]
    }

    /// A batch of puts, until each watch that has to has all its events.
    private static func watches(
        _ name: String,
        count: Int,
        hits: Int,
        _ range: @escaping @Sendable (Int) -> KeyRange
    ) -> Kernel {
        Kernel(name, operations: Fixtures.batch) {
            let (store, _, finish) = try KernelPlace.temporary.filled()
            let outlet = Outlet()
            let consumer = store.makeWatchConsumer(token: 1, target: outlet)
            outlet.expect(count)
            for number in 0..<count { _ = consumer.create(WatchRequest(range(number))) }
            outlet.wait()
            let batch = Batch()
            let puts = (0..<Fixtures.batch).map(Fixtures.put)
            return KernelRun(finish: finish) {
                outlet.expect(Fixtures.batch * hits)
                try batch.submit(puts, to: store)
                outlet.wait()
            }
        }
    }

    /// Counts what is delivered.
    private final class Outlet: WatchTarget {
        private let left = Mutex(0)
        private let done = DispatchSemaphore(value: 0)

        func expect(_ count: Int) { left.withLock { $0 = count } }

        func wait() { done.wait() }

        func deliver(_ deliveries: [WatchDelivery]) {
            var count = 0
            for delivery in deliveries {
                switch delivery.kind {
                case .events(let list, _): count += list.events.count
                case .created: count += 1
                default: break
                }
                delivery.consumer.consumed(delivery.footprint)
            }
            let isDone = left.withLock { left in
                left -= count
                return left == 0
            }
            if isDone { done.signal() }
        }
    }
}
