import Drover
import Synchronization
import TestSupport
import Testing

/// Locks of the library: those of etcd's Lock service.
@Suite("locks", .timeLimit(.minutes(2)))
struct LockTests {
    /// Waits until so many wait for the lock or have it.
    private func contenders(_ store: Store, _ count: Int64) async throws {
        for _ in 0..<1_500 {
            if try await store.list(prefix: "l/").count == count { return }
            try await Task.sleep(nanoseconds: 20_000_000)
        }
        Issue.record("there were not \(count) contenders within thirty seconds")
    }

    @Test("who asked first is next, and one at a time holds it", arguments: Backend.selected)
    func order(backend: Backend) async throws {
        try await backend.withStore { store in
            let first = try await store.lock("l", lease: store.grantLease(ttl: 600).id)
            let order = Mutexed<[Int]>([])
            try await withThrowingTaskGroup(of: Void.self) { group in
                for number in 0..<5 {
                    let lease = try await store.grantLease(ttl: 600).id
                    group.addTask {
                        let held = try await store.lock("l", lease: lease)
                        order.withLock { $0.append(number) }
                        // Nobody else has it meanwhile.
                        let alone = try await store.txn(if: [held.isHeld], then: [.put("holder", "\(number)")])
                        #expect(alone.succeeded)
                        try await Task.sleep(nanoseconds: 20_000_000)
                        #expect(try await store.get("holder")?.valueString == "\(number)")
                        try await store.unlock(held)
                    }
                    // One after the other.
                    try await contenders(store, Int64(number) + 2)
                }
                #expect(order.withLock { $0 } == [])
                try await store.unlock(first)
                try await group.waitForAll()
            }
            #expect(order.withLock { $0 } == [0, 1, 2, 3, 4])
            // It is not held any more, and who was the first may not write as its holder.
            #expect(try await !store.txn(if: [first.isHeld], then: [.put("holder", "late")]).succeeded)
            #expect(try await store.list(prefix: "l/").count == 0)
        }
    }

    @Test("the same lease is given it again; a cancelled task gives its place up", arguments: Backend.selected)
    func cancelled(backend: Backend) async throws {
        try await backend.withStore { store in
            let lease = try await store.grantLease(ttl: 600).id
            let held = try await store.lock("l", lease: lease)
            let again = try await store.lock("l", lease: lease)
            #expect(again.key == held.key && again.createRevision == held.createRevision)
            let other = try await store.grantLease(ttl: 600).id
            let waiting = Task { try await store.lock("l", lease: other) }
            try await contenders(store, 2)
            waiting.cancel()
            await #expect(throws: CancellationError.self) { try await waiting.value }
            try await contenders(store, 1)
            try await store.unlock(held)
            let next = try await store.lock("l", lease: other)
            #expect(try await store.unlock(next))
            // Given up twice, it is not taken from who has it since.
            let since = try await store.lock("l", lease: other)
            #expect(try await !store.unlock(next))
            #expect(try await store.unlock(since))
        }
    }

    @Test("a lease that ends loses the lock, or its place", arguments: Backend.selected)
    func ended(backend: Backend) async throws {
        try await backend.withStore { store in
            let leases = [
                try await store.grantLease(ttl: 600).id, try await store.grantLease(ttl: 600).id,
                try await store.grantLease(ttl: 600).id,
            ]
            let held = try await store.lock("l", lease: leases[0])
            let second = Task { try await store.lock("l", lease: leases[1]) }
            try await contenders(store, 2)
            let third = Task { try await store.lock("l", lease: leases[2]) }
            try await contenders(store, 3)
            try await store.revokeLease(leases[1])
            try await store.revokeLease(leases[0])
            #expect(try await third.value.createRevision > held.createRevision)
            await #expect {
                _ = try await second.value
            } throws: {
                ($0 as? DroverError)?.message.contains("session is expired") == true
            }
            #expect(try await !store.txn(if: [held.isHeld], then: [.put("holder", "late")]).succeeded)
            await #expect {
                _ = try await store.lock("l", lease: leases[0])
            } throws: {
                ($0 as? DroverError)?.code == .leaseNotFound
            }
        }
    }

    @Test("who waits while the store closes is told", arguments: Backend.selected)
    func closed(backend: Backend) async throws {
        try await withTemporaryDirectory { directory in
            let store = try backend.open(directory)
            _ = try await store.lock("l", lease: store.grantLease(ttl: 600).id)
            let lease = try await store.grantLease(ttl: 600).id
            let waiting = Task { try await store.lock("l", lease: lease) }
            try await contenders(store, 2)
            await store.close()
            await #expect {
                _ = try await waiting.value
            } throws: {
                ($0 as? DroverError)?.code == .stopped
            }
        }
    }

    /// A value that tasks share.
    private final class Mutexed<Value: Sendable>: Sendable {
        private let value: Mutex<Value>
        init(_ value: Value) { self.value = Mutex(value) }
        func withLock<R: Sendable>(_ body: (inout Value) -> R) -> R { value.withLock { body(&$0) } }
    }
}
