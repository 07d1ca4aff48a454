import Synchronization
import TestSupport
import Testing

@testable import Drover

/// Watch streams of one connection, some of whose clients read nothing.
@Suite("what the watch streams of a connection share", .timeLimit(.minutes(2)))
struct WatchBudgetTests {
    /// Keeps what it is told, and takes it as having left at once, or not before it is told to.
    private final class Reader: WatchTarget {
        private let isReading: Atomic<Bool>
        private let kept = Mutex<[WatchDelivery]>([])
        let events = Atomic<Int>(0)
        let isCreated = Atomic(false)
        let held = Atomic<Int>(0)

        init(reads: Bool) { isReading = Atomic(reads) }

        func deliver(_ deliveries: [WatchDelivery]) {
            for delivery in deliveries {
                if case .events(let list, _) = delivery.kind { events.add(list.events.count, ordering: .relaxed) }
                if case .created = delivery.kind { isCreated.store(true, ordering: .relaxed) }
                if isReading.load(ordering: .sequentiallyConsistent) {
                    delivery.consumer.consumed(delivery.footprint)
                } else {
                    held.add(delivery.footprint, ordering: .relaxed)
                    kept.withLock { $0.append(delivery) }
                }
            }
        }

        func read() {
            isReading.store(true, ordering: .sequentiallyConsistent)
            for delivery in kept.withLock({ $0 }) { delivery.consumer.consumed(delivery.footprint) }
        }
    }

    @Test(
        "who reads is told everything, who does not holds little, and is told everything later",
        arguments: Backend.selected,
        [0, 2] as [Int64]
    )
    func shared(backend: Backend, start: Int64) async throws {
        var limits = Limits()
        limits.catchUpBytes = 64 << 10
        limits.feedEvents = 16
        try await backend.withStore(limits: limits) { store in
            let value = String(repeating: "v", count: 8_000)
            let count = 200
            if start != 0 { for i in 0..<count { try await store.put("k/\(i)", value) } }
            let budget = WatchBudget(bytes: 256 << 10)
            let readers = (0..<12).map { Reader(reads: $0 % 4 == 3) }
            let consumers = readers.enumerated().map { place, reader in
                store.makeWatchConsumer(token: UInt64(place), target: reader, budget: budget)
            }
            let request = WatchRequest(KeyRange(prefix: Bytes("k/".utf8)), startRevision: start)
            for consumer in consumers { #expect(consumer.create(request)) }
            if start == 0 {
                for _ in 0..<500 where !readers.allSatisfy({ $0.isCreated.load(ordering: .relaxed) }) {
                    try await Task.sleep(nanoseconds: 10_000_000)
                }
                for i in 0..<count { try await store.put("k/\(i)", value) }
            }
            func isTold(_ readers: [Reader]) async throws -> Bool {
                for _ in 0..<500 {
                    if readers.allSatisfy({ $0.events.load(ordering: .relaxed) == count }) { return true }
                    try await Task.sleep(nanoseconds: 10_000_000)
                }
                return false
            }
            #expect(try await isTold(readers.enumerated().filter { $0.offset % 4 == 3 }.map(\.element)))
            // What is shared, and a delivery of each that had nothing.
            let held = readers.reduce(0) { $0 + $1.held.load(ordering: .relaxed) }
            #expect(held < (256 << 10) + 12 * (80 << 10), "\(held) bytes are held")
            for reader in readers { reader.read() }
            #expect(try await isTold(readers))
            for consumer in consumers { consumer.close() }
        }
    }
}
