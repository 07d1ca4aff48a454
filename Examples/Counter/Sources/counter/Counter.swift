import Drover
import DroverSQLite

/// Counts its runs, and shows a transaction, a watch and a lease on the way.
@main
struct Counter {
    static func main() async throws {
        let store = try await Store.open("sqlite://counter.db", using: [SQLiteDriver.self])

        // Whoever else counts at the same time, no run is lost: the write happens only if nobody came between.
        var runs = 0
        while true {
            let old = try await store.get("runs")
            runs = (old.flatMap { Int($0.valueString) } ?? 0) + 1
            let answer = try await store.txn(
                if: [.modRevision(of: "runs", .equal, old?.modRevision ?? 0)],
                then: [.put("runs", "\(runs)")]
            )
            if answer.succeeded { break }
        }
        print("run \(runs)")

        // A key that goes when nobody keeps its lease alive.
        let lease = try await store.grantLease(ttl: 30)
        let changes = try await store.watch(prefix: "session/")
        try await store.put("session/\(runs)", "here", lease: lease.id)
        try await store.revokeLease(lease.id)
        var seen = 0
        for try await batch in changes {
            for event in batch.events {
                print("\(event.kind) \(event.kv.keyString) at revision \(event.kv.modRevision)")
                seen += 1
            }
            if seen == 2 { break }
        }
        await store.close()
    }
}
