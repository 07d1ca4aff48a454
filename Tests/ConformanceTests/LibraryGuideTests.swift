import Drover
import DroverSQLite
import Foundation
import TestSupport
import Testing

@Suite("docs/library.md", .timeLimit(.minutes(1)))
struct LibraryGuideTests {
    @Test("its code runs")
    func code() async throws {
        try await withTemporaryDirectory { directory in
            let store = try await Store.open("sqlite://\(directory)/app.db", using: [SQLiteDriver.self])

            try await store.put("config/color", "blue")
            try await store.put("config/size", "12")
            let color = try await store.get("config/color")
            print(color?.valueString ?? "none", color?.version ?? 0)
            let all = try await store.list(prefix: "config/")
            print(all.kvs.map(\.keyString), all.count, all.revision)

            let before = try await store.revision()
            try await store.put("config/color", "green")
            let old = try await store.get("config/color", revision: before)
            print(old?.valueString ?? "none")

            let answer = try await store.txn(
                if: [.value(of: "config/color", .equal, "green"), .exists("config/size")],
                then: [.put("config/color", "red"), .delete("config/size")],
                else: [.get("config/color")]
            )
            print(answer.succeeded, answer.revision)

            let changes = try await store.watch(prefix: "config/", wantsPrevious: true)
            try await store.put("config/color", "black")
            for try await batch in changes {
                for event in batch.events {
                    print(event.kind, event.kv.keyString, event.previous?.valueString ?? "none")
                }
                break
            }

            let lease = try await store.grantLease(ttl: 30)
            try await store.put("session/1", "here", lease: lease.id)
            let seconds = try await store.keepAlive(lease.id)
            print(seconds ?? 0)
            try await store.revokeLease(lease.id)

            let session = try await store.grantLease(ttl: 30)
            let held = try await store.lock("jobs", lease: session.id)
            let done = try await store.txn(if: [held.isHeld], then: [.put("jobs-done", "1")])
            print(done.succeeded)
            try await store.unlock(held)

            let newest = try await store.revision()
            try await store.compact(to: newest, physical: true)
            await store.close()
            #expect(color?.valueString == "blue" && color?.version == 1)
            #expect(all.count == 2)
            #expect(old?.valueString == "blue")
            #expect(answer.succeeded)
            #expect(seconds == 30)
            #expect(done.succeeded)
        }
    }

    @Test("it is the code that the page shows")
    func same() throws {
        let source = try String(contentsOfFile: #filePath, encoding: .utf8)
        let root = URL(fileURLWithPath: #filePath).deletingLastPathComponent().deletingLastPathComponent()
            .deletingLastPathComponent()
        let page = try String(contentsOf: root.appendingPathComponent("docs/library.md"), encoding: .utf8)
        let blocks = page.components(separatedBy: "<!-- run -->\n```swift\n").dropFirst()
        #expect(blocks.count >= 7)
        for block in blocks {
            for line in block.components(separatedBy: "```")[0].split(separator: "\n") {
                let code = line.trimmingCharacters(in: .whitespaces)
                #expect(source.contains(code), "not in the test: \(code)")
            }
        }
    }
}
