import Drover
import DroverPostgreSQL
import Foundation
import Synchronization
import TestSupport
import Testing

@Suite("the fence and the settling of batches", .timeLimit(.minutes(2)))
struct FenceTests {
    private func changes(_ base: StoreMeta, _ key: String) -> ChangeSet {
        var changes = ChangeSet(base: base)
        changes.revision += 1
        let key = Bytes(key.utf8)
        changes.events = [
            .init(
                key: key,
                value: [1],
                main: changes.revision,
                sub: 0,
                createRevision: changes.revision,
                version: 1,
                lease: 0,
                previousMain: 0,
                previousSub: 0
            )
        ]
        let after = KeyState(
            main: changes.revision,
            sub: 0,
            createRevision: changes.revision,
            version: 1,
            valueLength: 1
        )
        changes.keys = [.init(key: key, before: nil, after: after)]
        return changes
    }

    @Test("a batch over a counter that has moved leaves no row behind", arguments: Backend.selected)
    func staleFence(backend: Backend) async throws {
        try await withTemporaryDirectory { directory in
            let driver = try backend.makeDriver(directory)
            let writer = try driver.openWriter()
            let first = try writer.begin(BatchPrefetch()).meta
            try writer.commit(changes(first, "a"))
            // The same base again, as an instance that was stopped between lock and commit would use it.
            _ = try writer.begin(BatchPrefetch())
            #expect { try writer.commit(changes(first, "ghost")) } throws: {
                ($0 as? DriverFailure)?.kind == .conflict
            }
            writer.rollback()
            let now = try writer.begin(BatchPrefetch(keys: [Bytes("a".utf8), Bytes("ghost".utf8)]))
            #expect(now.meta.revision == first.revision + 1)
            #expect(now.states[0]?.version == 1 && now.states[1] == nil)
            writer.rollback()
            var rows = 0
            try writer.log(from: 0, values: false) { _ in
                rows += 1
                return true
            }
            #expect(rows == 1)
            writer.close()
            driver.close()
        }
    }

    @Test("settling tells a batch that was committed from one that was not", arguments: Backend.selected)
    func settling(backend: Backend) async throws {
        try await withTemporaryDirectory { directory in
            let driver = try backend.makeDriver(directory)
            let writer = try driver.openWriter()
            let first = try writer.begin(BatchPrefetch()).meta
            try writer.commit(changes(first, "a"))
            #expect(try writer.settle(batch: first.batch + 1))
            let second = try writer.begin(BatchPrefetch()).meta
            // Given up in the middle: the lock is let go, and nothing of it is there.
            #expect(try !writer.settle(batch: second.batch + 1))
            let third = try writer.begin(BatchPrefetch(keys: [Bytes("a".utf8)]))
            #expect(third.meta.revision == first.revision + 1 && third.states[0]?.version == 1)
            writer.rollback()
            writer.close()
            driver.close()
        }
    }

    @Test("a settlement moves nothing in a database that has lost batches", arguments: Backend.selected)
    func settlingLost(backend: Backend) async throws {
        guard let server = try backend.server() else { return }
        try await withTemporaryDirectory { directory in
            let database = Engine.database(directory)
            let driver = try backend.makeDriver(directory)
            let writer = try driver.openWriter()
            let first = try writer.begin(BatchPrefetch()).meta
            try writer.commit(changes(first, "a"))
            let second = try writer.begin(BatchPrefetch()).meta
            writer.rollback()
            // As on a standby that was promoted without the last batch, which changed no key.
            try server.sql("UPDATE drover_meta SET batch = \(first.batch)", database: database)
            #expect { try writer.settle(batch: second.batch + 1) } throws: {
                ($0 as? DriverFailure)?.kind == .forked
            }
            let batch = try server.sql("SELECT batch FROM drover_meta", database: database)
            #expect(batch.trimmingCharacters(in: .whitespacesAndNewlines) == "\(first.batch)")
            writer.close()
            driver.close()
        }
    }

    @Test("what may only be read is not read from either", arguments: Backend.selected.filter { $0 == .postgres })
    func readOnly(backend: Backend) async throws {
        guard let server = try backend.server() else { return }
        try await withTemporaryDirectory { directory in
            var endpoint = try backend.endpoint(directory)
            endpoint += (endpoint.contains("?") ? "&" : "?") + "target_session_attrs=any"
            let driver = PostgreSQLDriver(PostgreSQLConfiguration(endpoint: endpoint), logger: quietLogger)
            let writer = try driver.openWriter()
            let sql = "ALTER DATABASE \(Engine.database(directory)) SET default_transaction_read_only = on"
            try server.sql(sql, database: nil)
            // A standby that libpq has been let connect to would answer with what it knew a moment ago.
            for open in [{ _ = try driver.openReader() }, { _ = try driver.openLink() }] as [() throws -> Void] {
                #expect { try open() } throws: { ($0 as? DroverError)?.message.contains("standby") == true }
            }
            // Whoever looks it through may.
            let looker = PostgreSQLDriver(PostgreSQLConfiguration(endpoint: endpoint), logger: quietLogger)
            #expect(try looker.openReader().readMeta().revision == 1)
            looker.close()
            writer.close()
            driver.close()
        }
    }

    private func withUnsettled(
        _ backend: Backend,
        _ change: (inout Limits) -> Void = { _ in },
        _ body: (Store, UnsettledDriver) async throws -> Void
    ) async throws {
        try await withTemporaryDirectory { directory in
            let driver = UnsettledDriver(try backend.makeDriver(directory))
            var configuration = StoreConfiguration()
            configuration.logger = quietLogger
            change(&configuration.limits)
            let store = try Store(driver: driver, configuration: configuration)
            try await body(store, driver)
            await store.close()
        }
    }

    @Test("a settlement that is refused for a while is no answer: the batch happens once", arguments: Backend.selected)
    func refusedSettlement(backend: Backend) async throws {
        try await withUnsettled(backend) { store, driver in
            try await store.put("counter", "1")
            driver.arm(refusals: 3)
            try await store.put("counter", "2")
            let kv = try #require(try await store.get("counter"))
            // The first version took the refusal for a no, and put it again.
            #expect(kv.version == 2 && kv.valueString == "2")
            #expect(try await store.revision() == 3)
        }
    }

    @Test("a lease revoked and granted anew in one batch is one batch's work", arguments: Backend.selected)
    func regranted(backend: Backend) async throws {
        try await withUnsettled(backend) { store, driver in
            _ = try await store.grantLease(ttl: 100, id: 7)
            try await store.put("attached", "1", lease: 7)
            // The committer asks for two seconds what has become of this put, while the others queue up.
            driver.arm(refusals: 40)
            async let slow = store.put("slow", "1")
            try await Task.sleep(nanoseconds: 100_000_000)
            let before = store.metrics().commits.batches
            async let revoke: Void = store.revokeLease(7)
            try await Task.sleep(nanoseconds: 100_000_000)
            async let grant = store.grantLease(ttl: 200, id: 7)
            _ = try await slow
            try await revoke
            #expect(try await grant.grantedTTL == 200)
            #expect(store.metrics().commits.batches == before + 2)
            #expect(try await store.get("attached") == nil)
            #expect(try await store.timeToLive(7)?.granted == 200)
        }
    }

    @Test(
        "leases that end together do not hold the lock for as long as all of them take",
        arguments: Backend.selected.filter { $0 != .sqlite }
    )
    func endsInTurn(backend: Backend) async throws {
        try await withUnsettled(backend, { $0.sharedLeaseEnds = 10 }) { store, driver in
            for id in 1...40 as ClosedRange<Int64> {
                _ = try await store.grantLease(ttl: 100, id: id)
                try await store.put("attached/\(id)", "1", lease: id)
            }
            driver.arm(refusals: 40)
            async let slow = store.put("slow", "1")
            try await Task.sleep(nanoseconds: 100_000_000)
            let before = store.metrics().commits.batches
            try await withThrowingTaskGroup(of: Void.self) { group in
                for id in 1...40 as ClosedRange<Int64> { group.addTask { try await store.revokeLease(id) } }
                try await group.waitForAll()
            }
            _ = try await slow
            #expect(store.metrics().commits.batches == before + 5)
            #expect(try await store.list(prefix: "attached/").kvs.isEmpty)
        }
    }

    @Test("keys at the limit, of random bytes, and one byte longer", arguments: Backend.selected)
    func longestKeys(backend: Backend) async throws {
        try await backend.withStore { store in
            // SQLite's limit is far above what a test needs to write.
            let limit = backend == .sqlite ? 4_096 : 2_048
            var generator = SystemRandomNumberGenerator()
            var keys: [Bytes] = []
            for _ in 0..<40 {
                keys.append((0..<limit).map { _ in UInt8.random(in: 0...255, using: &generator) })
            }
            for key in keys { try await store.put(PutRequest(key: key, value: key)) }
            for key in keys { #expect(try await store.get(key)?.value == key) }
            let list = try await store.range(RangeRequest(.all))
            #expect(list.kvs.map(\.key) == keys.sorted { Bytes.precedes($0, $1) })
            // On a lease, as they were, deleted, and gone with the lease: every table takes them.
            let before = try await store.revision()
            let lease = try await store.grantLease(ttl: 600)
            for key in keys { try await store.put(PutRequest(key: key, value: [1], lease: lease.id)) }
            #expect(try await store.keys(attachedTo: lease.id).count == keys.count)
            for key in keys[..<20] { _ = try await store.delete(DeleteRangeRequest(key: key)) }
            var old = RangeRequest(.all)
            old.revision = before
            #expect(try await store.range(old).kvs.map(\.value) == list.kvs.map(\.value))
            try await store.revokeLease(lease.id)
            #expect(try await store.range(RangeRequest(.all)).count == 0)
            try await store.compact(to: try await store.revision(), physical: true)
            for key in keys { try await store.put(PutRequest(key: key, value: key)) }
            #expect(try await store.get(keys[0])?.version == 1)
            if backend != .sqlite {
                await #expect {
                    try await store.put(PutRequest(key: Bytes(repeating: 7, count: limit + 1), value: []))
                } throws: {
                    ($0 as? DroverError)?.code == .keyTooLong
                }
            }
        }
    }

    @Test("a snapshot whose connection is lost is not gone on with on another", arguments: Backend.selected)
    func lostSnapshot(backend: Backend) async throws {
        guard let server = try backend.server() else { return }
        try await withTemporaryDirectory { directory in
            let driver = try backend.makeDriver(directory)
            let writer = try driver.openWriter()
            let reader = try driver.openReader()
            _ = try reader.beginSnapshot()
            #expect(try reader.leases().isEmpty)
            let database = Engine.database(directory)
            switch backend {
            case .sqlite: break
            case .postgres:
                let sql = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = '\(database)'"
                _ = try server.sql(sql, database: nil)
            case .mariadb:
                let sql = "SELECT id FROM information_schema.processlist WHERE db = '\(database)'"
                for id in try server.sql(sql, database: nil).split(separator: "\n") {
                    _ = try server.sql("KILL \(id)", database: nil)
                }
            }
            #expect { try reader.leases() } throws: { ($0 as? DriverFailure)?.kind == .unavailable }
            #expect { try reader.leases() } throws: { ($0 as? DriverFailure)?.kind == .unavailable }
            reader.endSnapshot()
            #expect(try reader.beginSnapshot().revision == 1)
            #expect(try reader.leases().isEmpty)
            reader.endSnapshot()
            writer.close()
            driver.close()
        }
    }

    @Test("limits that a database sets for its applications' statements do not hold here", arguments: Backend.selected)
    func statementTimeout(backend: Backend) async throws {
        guard let server = try backend.server() else { return }
        try await withTemporaryDirectory { directory in
            let database = Engine.database(directory)
            let store = try backend.open(directory)
            for i in 0..<2_000 { try await store.put("s/\(i)", String(repeating: "v", count: 500)) }
            await store.close()
            switch backend {
            case .sqlite: break
            case .postgres:
                _ = try server.sql("ALTER DATABASE \(database) SET statement_timeout = '3ms'", database: nil)
            case .mariadb: _ = try server.sql("SET GLOBAL max_statement_time = 0.003", database: nil)
            }
            defer {
                for _ in 0..<20 where backend == .mariadb {
                    if (try? server.sql("SET GLOBAL max_statement_time = 0", database: nil)) != nil { break }
                }
            }
            // What a connection says before it has lifted the limit may take longer than that.
            var opened: Store?
            for _ in 0..<20 where opened == nil { opened = try? backend.open(directory) }
            let again = try #require(opened)
            #expect(try await again.list(prefix: "s/").count == 2_000)
            let operations = (0..<100).map { RequestOperation.put("s/\($0)", "w") }
            #expect(try await again.txn(if: [], then: operations).succeeded)
            try await again.compact(to: try await again.revision(), physical: true)
            await again.close()
        }
    }
}
