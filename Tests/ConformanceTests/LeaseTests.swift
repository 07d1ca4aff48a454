import Drover
import Foundation
import TestSupport
import Testing

@Suite("leases", .timeLimit(.minutes(5)))
struct LeaseTests {
    @Test("keys of leases that end together go in their order", arguments: Backend.selected)
    func endsTogether(backend: Backend) async throws {
        try await backend.withStore { store in
            for round in 0..<10 {
                let watch = try await store.watch(prefix: "e/")
                let leases = (1...4 as ClosedRange<Int64>).map { Int64(round) * 10 + $0 }
                for lease in leases {
                    _ = try await store.grantLease(ttl: 600, id: lease)
                    // In another order than that of the keys.
                    for key in ["c", "a", "d", "b"] { try await store.put("e/\(lease)/\(key)", "v", lease: lease) }
                }
                await withTaskGroup(of: Void.self) { group in
                    for lease in leases { group.addTask { try? await store.revokeLease(lease) } }
                }
                var gone: [Int64: [String]] = [:]
                var count = 0
                for try await batch in watch {
                    for event in batch.events where event.kind == .delete {
                        gone[event.kv.modRevision, default: []].append(event.kv.keyString)
                        count += 1
                    }
                    if count == 16 { break }
                }
                #expect(gone.count == 4 && gone.values.allSatisfy { $0 == $0.sorted() && $0.count == 4 }, "\(gone)")
            }
        }
    }

    @Test("grant, attach, revoke in one revision", arguments: Backend.selected)
    func revoking(backend: Backend) async throws {
        try await backend.withStore { store in
            let lease = try await store.grantLease(ttl: 60, id: 7)
            #expect(lease.id == 7 && lease.grantedTTL == 60)
            await #expect(throws: DroverError.self) { try await store.grantLease(ttl: 60, id: 7) }
            await #expect(throws: DroverError.self) { try await store.grantLease(ttl: 9_000_000_001) }
            #expect(try await store.grantLease(ttl: -5).grantedTTL == 2)
            try await store.put("l/1", "1", lease: 7)
            try await store.put("l/2", "2", lease: 7)
            try await store.put("l/3", "3")
            #expect(try await store.keys(attachedTo: 7).count == 2)
            #expect(try await store.timeToLive(7)?.granted == 60)
            let before = try await store.revision()
            try await store.revokeLease(7)
            #expect(try await store.revision() == before + 1)
            #expect(try await store.list(prefix: "l/").kvs.map(\.keyString) == ["l/3"])
            #expect(try await store.timeToLive(7) == nil)
            await #expect(throws: DroverError.self) { try await store.revokeLease(7) }
            await #expect(throws: DroverError.self) { try await store.put("l/4", "4", lease: 7) }
        }
    }

    @Test("a closed store renews nothing, and says so before and after the lease's end", arguments: Backend.selected)
    func closed(backend: Backend) async throws {
        try await withTemporaryDirectory { directory in
            let store = try backend.open(directory)
            let lease = try await store.grantLease(ttl: 2)
            // Two closers: both return when it is closed, so that it can be opened anew.
            await withTaskGroup(of: Void.self) { group in
                for _ in 0..<2 { group.addTask { await store.close() } }
            }
            for _ in 0..<2 {
                await #expect { try await store.keepAlive(lease.id) } throws: {
                    ($0 as? DroverError)?.code == .stopped
                }
                try await Task.sleep(nanoseconds: 2_500_000_000)
            }
            let again = try backend.open(directory)
            await again.close()
        }
    }

    @Test("any number is an id: the smallest, and others below nothing", arguments: Backend.selected)
    func extremeIDs(backend: Backend) async throws {
        try await backend.withStore { store in
            let ids = [Int64.min, -1, 1, .max]
            for id in ids { #expect(try await store.grantLease(ttl: id == .min ? 4 : 60, id: id).id == id) }
            try await store.put("extreme", "", lease: .min)
            #expect(try await store.leases().sorted() == ids)
            for id in ids { #expect(try await store.keepAlive(id) != nil) }
            #expect(try await store.timeToLive(.min)?.granted == 4)
            #expect(try await store.get("extreme")?.lease == .min)
            // Its time comes to an end like any other's.
            for _ in 0..<150 where try await store.get("extreme") != nil {
                try await Task.sleep(nanoseconds: 100_000_000)
            }
            #expect(try await store.get("extreme") == nil)
            #expect(try await store.leases().sorted() == [-1, 1, .max])
            for id in ids.dropFirst() { try await store.revokeLease(id) }
        }
    }

    @Test("an expired lease deletes its keys in one revision of its own", arguments: Backend.selected)
    func expiring(backend: Backend) async throws {
        try await backend.withStore { store in
            let lease = try await store.grantLease(ttl: 4)
            let kept = try await store.grantLease(ttl: 4)
            for i in 0..<5 { try await store.put("e/\(i)", "", lease: lease.id) }
            let last = try await store.put("kept", "", lease: kept.id).revision
            let sequence = try await store.watch(prefix: "e/", startRevision: last + 1)
            let keeper = Task {
                while !Task.isCancelled {
                    #expect(try await store.keepAlive(kept.id) == 4)
                    try await Task.sleep(nanoseconds: 300_000_000)
                }
            }
            for try await batch in sequence {
                #expect(batch.events.map(\.kv.keyString) == (0..<5).map { "e/\($0)" })
                #expect(Set(batch.events.map(\.kv.modRevision)).count == 1)
                #expect(batch.events.allSatisfy { $0.kind == .delete })
                break
            }
            #expect(try await store.keepAlive(lease.id) == nil)
            try await Task.sleep(nanoseconds: 2_000_000_000)
            #expect(try await store.get("kept") != nil)
            keeper.cancel()
            _ = try? await keeper.value
        }
    }

    @Test("leases and attachments outlive a restart, armed in full", arguments: Backend.selected)
    func restart(backend: Backend) async throws {
        try await withTemporaryDirectory { directory in
            let store = try backend.open(directory)
            let lease = try await store.grantLease(ttl: 3)
            try await store.put("r", "", lease: lease.id)
            try await Task.sleep(nanoseconds: 1_500_000_000)
            await store.close()
            let again = try backend.open(directory)
            #expect(try await again.leases() == [lease.id])
            #expect((try await again.timeToLive(lease.id)?.remaining ?? 0) >= 2)
            #expect(try await again.keys(attachedTo: lease.id) == [Bytes("r".utf8)])
            for _ in 0..<150 where try await again.get("r") != nil {
                try await Task.sleep(nanoseconds: 100_000_000)
            }
            #expect(try await again.get("r") == nil)
            #expect(try await again.leases().isEmpty)
            await again.close()
        }
    }

    @Test("keep-alives cost no write on SQLite", .enabled(if: Backend.selected.contains(.sqlite)))
    func renewals() async throws {
        try await withTemporaryDirectory { directory in
            let store = try Backend.sqlite.open(directory)
            let lease = try await store.grantLease(ttl: 60)
            try await store.put("r", "", lease: lease.id)
            func files() throws -> [String: Data] {
                try FileManager.default.contentsOfDirectory(atPath: directory).filter { !$0.hasSuffix("-shm") }
                    .reduce(into: [:]) { $0[$1] = try Data(contentsOf: URL(fileURLWithPath: "\(directory)/\($1)")) }
            }
            // What upkeep there is comes first: it lengthens the log step by step.
            var before: [String: Data] = [:]
            for _ in 0..<40 {
                let now = try files()
                if now == before { break }
                before = now
                try await Task.sleep(nanoseconds: 700_000_000)
            }
            let batches = store.metrics().commits.batches
            for _ in 0..<1_000 { #expect(try await store.keepAlive(lease.id) == 60) }
            #expect(store.metrics().commits.batches == batches)
            #expect(try files() == before)
            await store.close()
        }
    }

    @Test(
        "the cluster's id outlives a restart; an embedded store's member is the same, too",
        arguments: Backend.selected
    )
    func identity(backend: Backend) async throws {
        try await withTemporaryDirectory { directory in
            let store = try backend.open(directory)
            let (cluster, member) = (store.clusterID, store.memberID)
            #expect(cluster != 0 && member != 0)
            await store.close()
            let again = try backend.open(directory)
            #expect(again.clusterID == cluster)
            if backend == .sqlite { #expect(again.memberID == member) }
            await again.close()
        }
    }

    @Test("a lease revoked in the batch that attaches to it", arguments: Backend.selected)
    func sameBatch(backend: Backend) async throws {
        try await backend.withStore { store in
            for round in 1...200 {
                let id = Int64(round)
                _ = try await store.grantLease(ttl: 100, id: id)
                async let put = store.put("b", "\(round)", lease: id)
                async let revoke: Void = store.revokeLease(id)
                let attached = (try? await put) != nil
                try await revoke
                // Whichever came first, no key may hang on a lease that is gone.
                let kv = try await store.get("b")
                #expect(kv == nil || kv?.lease != id, "attached: \(attached)")
                #expect(try await store.keys(attachedTo: id).isEmpty)
            }
        }
    }
}
