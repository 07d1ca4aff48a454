import Drover
import DroverSQLite
import Foundation
import TestSupport
import Testing

@Suite("faults of the SQLite backend", .serialized, .timeLimit(.minutes(5)))
struct SQLiteFaultTests {
    private func open(_ path: String) async throws -> Store {
        var configuration = StoreConfiguration()
        configuration.logger = quietLogger
        return try await Store.open(sqlite: SQLiteConfiguration(path: path), configuration: configuration)
    }

    private func message(_ path: String) async -> String {
        do {
            let store = try await open(path)
            await store.close()
            return ""
        } catch {
            return (error as? DroverError)?.message ?? "\(error)"
        }
    }

    @Test("a file of another application is refused and left as it is")
    func foreign() async throws {
        try await withTemporaryDirectory { directory in
            let path = "\(directory)/text.db"
            try
                "this is no database, but somebody's notes, and long enough to have a header of a hundred bytes or more\n"
                .write(toFile: path, atomically: true, encoding: .utf8)
            let before = try Data(contentsOf: URL(fileURLWithPath: path))
            #expect(await message(path).contains("no database"))
            #expect(try Data(contentsOf: URL(fileURLWithPath: path)) == before)

            let other = "\(directory)/other.db"
            let sqlite = find("sqlite3")
            if let sqlite {
                _ = try run(sqlite, [other, "CREATE TABLE theirs (a); INSERT INTO theirs VALUES (1)"])
                let theirs = try Data(contentsOf: URL(fileURLWithPath: other))
                #expect(await message(other).contains("another application"))
                #expect(try Data(contentsOf: URL(fileURLWithPath: other)) == theirs)
                #expect(try run(sqlite, [other, "SELECT a FROM theirs"]).output == "1\n")
            }
        }
    }

    @Test("a newer schema is refused with what to do")
    func newerSchema() async throws {
        try await withTemporaryDirectory { directory in
            let path = "\(directory)/new.db"
            let store = try await open(path)
            try await store.put("a", "1")
            await store.close()
            // `PRAGMA user_version` lies at offset 60 of the file's header, big-endian.
            let file = try FileHandle(forUpdating: URL(fileURLWithPath: path))
            try file.seek(toOffset: 60)
            try file.write(contentsOf: Data([0, 0, 0, 99]))
            try file.close()
            let text = await message(path)
            #expect(text.contains("schema 99") && text.contains("Upgrade"))
        }
    }

    @Test("a directory that cannot be made, and a file that cannot be written")
    func unwritable() async throws {
        try await withTemporaryDirectory { directory in
            try "".write(toFile: "\(directory)/file", atomically: true, encoding: .utf8)
            #expect(await !message("\(directory)/file/store.db").isEmpty)
            #expect(await !message("/proc/nowhere/store.db").isEmpty)
            // Missing directories on the way are made.
            #expect(await message("\(directory)/a/b/store.db").isEmpty)
        }
    }

    @Test("a second process, or a second store, is kept out")
    func secondProcess() async throws {
        try await withTemporaryDirectory { directory in
            let path = "\(directory)/store.db"
            let store = try await open(path)
            #expect(await message(path).contains("this process has the SQLite file open already"))
            try await store.put("still", "works")
            await store.close()
            #expect(await message(path).isEmpty)
        }
    }

    @Test("a driver serves one store at a time, and memory is no file")
    func oneStore() async throws {
        try await withTemporaryDirectory { directory in
            let driver = SQLiteDriver(SQLiteConfiguration(path: "\(directory)/store.db"))
            let store = try await Store.open(driver: driver)
            await #expect {
                _ = try await Store.open(driver: driver)
            } throws: {
                "\($0)".contains("serves a store already")
            }
            // Who was refused has not let go of the first one's lock.
            #expect(await message("\(directory)/store.db").contains("this process has"))
            try await store.put("a", "1")
            await store.close()
            let again = try await Store.open(driver: driver)
            #expect(try await again.get("a")?.valueString == "1")
            await again.close()
            for path in [":memory:", ""] { #expect(await message(path).contains("a store needs a file"), "\(path)") }
            #expect(!FileManager.default.fileExists(atPath: ":memory:.lock"))
        }
    }

    @Test("links to one file are one store, also before the file is there")
    func links() async throws {
        try await withTemporaryDirectory { directory in
            try FileManager.default.createDirectory(atPath: "\(directory)/far", withIntermediateDirectories: false)
            let real = "\(directory)/far/real.db"
            for (name, target) in [("first.db", "far/real.db"), ("second.db", real), ("third.db", "first.db")] {
                try FileManager.default.createSymbolicLink(
                    atPath: "\(directory)/\(name)",
                    withDestinationPath: target
                )
            }
            let store = try await open("\(directory)/third.db")
            for name in ["first.db", "second.db", "far/real.db"] {
                #expect(await message("\(directory)/\(name)").contains("this process has"), "\(name)")
            }
            #expect(FileManager.default.fileExists(atPath: real + ".lock"))
            try await store.put("a", "1")
            await store.close()
            #expect(await message("\(directory)/second.db") == "")
        }
    }

    @Test("a closed store refuses calls")
    func closed() async throws {
        try await withTemporaryDirectory { directory in
            let store = try await open("\(directory)/store.db")
            await store.close()
            await #expect { try await store.put("a", "1") } throws: { ($0 as? DroverError)?.code == .stopped }
            await #expect { try await store.get("a") } throws: { ($0 as? DroverError)?.code == .stopped }
        }
    }

    @Test("endpoints")
    func endpoints() async {
        #expect(SQLiteConfiguration(endpoint: "sqlite").path == "./db/state.db")
        #expect(SQLiteConfiguration(endpoint: "sqlite://").path == "./db/state.db")
        #expect(SQLiteConfiguration(endpoint: "sqlite://relative.db").path == "relative.db")
        #expect(
            SQLiteConfiguration(endpoint: "sqlite:///abs/olute.db?_journal=WAL&cache=shared").path == "/abs/olute.db"
        )
        await #expect { try await Store.open("nosuch://x", using: [SQLiteDriver.self]) } throws: {
            ($0 as? DroverError)?.code == .badEndpoint
        }
    }
}
