import DroverClient
import EtcdAPI
import Foundation
import Synchronization
import TestSupport
import Testing

extension SystemTests {
    /// Histories of many clients, while the servers are killed and started again.
    @Suite("linearizability")
    struct Linearizability {
        private static let keys = ["a", "b", "c", "d", "e"]
        private static let clients = 8

        @Test(
            "the calls of many clients can be put in one order, whoever is killed meanwhile",
            arguments: Engine.selected
        )
        func histories(engine: Engine) async throws {
            let seed = SeededGenerator.seed()
            let rounds = TestScale.historyRounds
            print("linearizability on \(engine): seed \(seed), \(rounds) rounds")
            var (calls, unknown, kills) = (0, 0, 0)
            for round in 0..<rounds {
                try await withTemporaryDirectory { directory in
                    let result = try await record(engine, directory, seed: seed &+ UInt64(round) &* 104_729)
                    calls += result.history.count
                    kills += result.kills
                    unknown += result.history.count { $0.outcome == .unknown }
                    let wrong = RevisionChecker(result.history, changes: result.changes).violations()
                    #expect(wrong.isEmpty, "seed \(seed), round \(round): \(wrong.prefix(5))")
                    for key in Self.keys {
                        let verdict = RegisterChecker(result.history, key: key).isLinearizable()
                        #expect(verdict != false, "seed \(seed), round \(round): \(key) has no order")
                        if verdict == nil { print("linearizability: \(key) of round \(round) was given up") }
                    }
                }
            }
            print("linearizability on \(engine): \(calls) calls, \(unknown) of unknown outcome, \(kills) kills")
            #expect(kills >= rounds && calls > rounds * 500)
        }

        private func record(
            _ engine: Engine,
            _ directory: String,
            seed: UInt64
        ) async throws -> (history: [HistoryCall], changes: [RevisionChecker.Change], kills: Int) {
            // One server on a file; two beside each other on a database.
            let ports = engine == .sqlite ? [freePort()] : [freePort(), freePort()]
            let servers = Mutex<[TestServer]>([])
            for (number, port) in ports.enumerated() {
                let server = try await TestServer.drover(
                    directory: directory,
                    engine: engine,
                    port: port,
                    log: "drover-\(number).log"
                )
                servers.withLock { $0.append(server) }
            }
            let killer = Task {
                var random = SeededGenerator(seed: seed)
                var kills = 0
                while !Task.isCancelled {
                    try await Task.sleep(nanoseconds: UInt64.random(in: 100_000_000...500_000_000, using: &random))
                    let victim = Int.random(in: 0..<ports.count, using: &random)
                    let server = servers.withLock { $0[victim] }
                    server.process.signal(SIGKILL)
                    server.process.wait()
                    kills += 1
                    let again = try await TestServer.drover(
                        directory: directory,
                        engine: engine,
                        port: ports[victim],
                        log: "drover-\(victim).log"
                    )
                    servers.withLock { $0[victim] = again }
                    if kills == 4 { break }
                }
                return kills
            }
            let history = await withTaskGroup(of: [HistoryCall].self) { group in
                for client in 0..<Self.clients {
                    group.addTask {
                        let recorder = HistoryRecorder(client: client, seed: seed, keys: Self.keys)
                        return await recorder.run(400) {
                            let port = ports[(client + Int.random(in: 0..<4)) % ports.count]
                            return try await EtcdConnection.connect(host: "127.0.0.1", port: port)
                        }
                    }
                }
                return await group.reduce(into: []) { $0 += $1 }
            }
            let kills = try await killer.value
            let server = servers.withLock { $0[0] }
            let changes = try await changes(server)
            for server in servers.withLock({ $0 }) { server.process.stop() }
            return (history, changes, kills)
        }

        /// Everything that happened, as a watch from the first revision tells it.
        private func changes(_ server: TestServer) async throws -> [RevisionChecker.Change] {
            let connection = try await server.connect()
            // The last one is ours.
            let last = try await put(connection, "zz", "end")
            let call = try await connection.open("/etcdserverpb.Watch/Watch")
            try await call.send(
                PBWatchRequest.with {
                    $0.createRequest.key = Data([0])
                    $0.createRequest.rangeEnd = Data([0])
                    $0.createRequest.startRevision = 1
                }
            )
            var changes: [RevisionChecker.Change] = []
            reading: for try await message in call.messages {
                let response = try PBWatchResponse(serializedBytes: Array(message.readableBytesView))
                for event in response.events {
                    if event.kv.modRevision == last { break reading }
                    changes.append(
                        .init(
                            revision: event.kv.modRevision,
                            key: String(decoding: event.kv.key, as: UTF8.self),
                            value: event.type == .delete ? nil : String(decoding: event.kv.value, as: UTF8.self)
                        )
                    )
                }
            }
            await call.cancel()
            await connection.close()
            return changes
        }
    }

    /// That the checkers see what is wrong.
    @Suite("linearizability checkers")
    struct LinearizabilityCheckers {
        private func call(
            _ action: HistoryCall.Action,
            _ began: UInt64,
            _ ended: UInt64,
            _ outcome: HistoryCall.Outcome
        ) -> HistoryCall {
            HistoryCall(client: 0, action: action, began: began, ended: ended, outcome: outcome)
        }

        private func isRegister(_ history: [HistoryCall]) -> Bool? {
            RegisterChecker(history, key: "k").isLinearizable()
        }

        @Test("one register: stale reads, lost and doubled writes have no order, concurrent ones do")
        func register() {
            let one = call(.put("k", value: "1"), 0, 10, .wrote([:], revision: 2))
            let two = call(.put("k", value: "2"), 20, 30, .wrote([:], revision: 3))
            func read(_ value: String?, _ began: UInt64, _ ended: UInt64) -> HistoryCall {
                call(.get("k"), began, ended, .read(["k": value], revision: 0))
            }
            #expect(isRegister([one, two, read("2", 40, 50)]) == true)
            #expect(isRegister([one, two, read("1", 40, 50)]) == false)
            #expect(isRegister([one, two, read("1", 25, 50)]) == true)
            #expect(isRegister([one, two, read("2", 22, 24), read("1", 25, 26)]) == false)
            #expect(isRegister([one, read(nil, 40, 50)]) == false)
            #expect(isRegister([one, read(nil, 5, 50)]) == true)
            // A write of unknown outcome may come late, and never goes away again.
            let open = call(.put("k", value: "3"), 35, 36, .unknown)
            #expect(isRegister([one, two, open, read("2", 40, 50), read("3", 60, 70)]) == true)
            #expect(isRegister([one, two, open, read("3", 40, 50), read("2", 60, 70)]) == false)
            #expect(isRegister([one, two, call(.put("k", value: "3"), 35, 36, .refused), read("3", 60, 70)]) == false)
            // A swap sees what it says that it saw.
            let swap = call(.swap("k", from: "1", to: "4"), 40, 50, .wrote(["k": "1"], revision: 4))
            #expect(isRegister([one, two, swap]) == false)
            #expect(isRegister([one, swap, read("4", 60, 70)]) == true)
            let openSwap = call(.swap("k", from: "9", to: "5"), 12, 13, .unknown)
            #expect(isRegister([one, openSwap, read("5", 60, 70)]) == false)
            let gone = call(.delete("k"), 40, 50, .wrote(["k": "2"], revision: 4))
            #expect(isRegister([one, two, gone, read(nil, 60, 70)]) == true)
            #expect(isRegister([one, two, gone, read("2", 60, 70)]) == false)
        }

        @Test("revisions: gaps, doubles, strangers, wrong answers and time that runs backwards are told")
        func revisions() {
            let one = call(.put("k", value: "1"), 0, 10, .wrote([:], revision: 2))
            let two = call(.put("k", value: "2"), 20, 30, .wrote([:], revision: 3))
            let changes = [
                RevisionChecker.Change(revision: 2, key: "k", value: "1"), .init(revision: 3, key: "k", value: "2"),
            ]
            func wrong(_ history: [HistoryCall], _ changes: [RevisionChecker.Change]) -> String {
                RevisionChecker(history, changes: changes).violations().joined(separator: "; ")
            }
            #expect(wrong([one, two], changes) == "")
            #expect(wrong([one], changes).contains("nobody wrote"))
            #expect(wrong([one, two], [changes[0]]).contains("the call wrote"))
            #expect(
                wrong([one, two], changes + [.init(revision: 4, key: "k", value: "1")]).contains("twice, again at 4")
            )
            #expect(wrong([one, two], [changes[0], .init(revision: 4, key: "k", value: "2")]).contains("jumped"))
            #expect(wrong([one, two, call(.put("k", value: "1"), 0, 1, .refused)], changes).contains("was refused"))
            let early = call(.put("k", value: "1"), 40, 50, .wrote([:], revision: 2))
            #expect(wrong([early, two], changes).contains("after an answer at 3"))
            let stale = call(.get("k"), 40, 50, .read(["k": "1"], revision: 2))
            #expect(wrong([one, two, stale], changes).contains("after an answer at 3"))
            let false1 = call(.get("k"), 40, 50, .read(["k": "1"], revision: 3))
            #expect(wrong([one, two, false1], changes).contains("was read as 1 at 3"))
            let missed = call(.swap("k", from: "2", to: "9"), 40, 50, .read(["k": "2"], revision: 3))
            #expect(wrong([one, two, missed], changes).contains("was not swapped"))
            #expect(
                wrong([one, two], changes + [.init(revision: 4, key: "k", value: nil)]).contains("nobody deleted")
            )
        }
    }
}
