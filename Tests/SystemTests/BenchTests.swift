import DroverClient
import EtcdAPI
import Foundation
import TestSupport
import Testing

extension SystemTests {
    /// The harness as its users run it.
    @Suite("drover bench")
    struct Bench {
        func bench(
            _ directory: String,
            _ arguments: [String],
            timeout: Double = 120
        ) throws -> (status: Int32, output: String, error: String) {
            let result = try run(
                droverExecutable(),
                ["bench"] + arguments,
                directory: directory,
                timeout: timeout
            )
            return (result.status, result.output, result.error)
        }

        static let short = [
            "--connections", "2", "--streams", "4", "--duration", "1s", "--warm-up", "200ms", "--keys", "400",
            "--watchers", "10", "--nodes", "4", "--leases", "60", "--history", "2000",
        ]

        struct Report {
            let measurements: [[String: Any]]

            init(_ path: String) throws {
                let object = try JSONSerialization.jsonObject(with: Data(contentsOf: URL(fileURLWithPath: path)))
                measurements = try #require((object as? [String: Any])?["measurements"] as? [[String: Any]])
            }

            func rounds(_ workload: String, _ target: String) -> [[String: Any]] {
                let found = measurements.first {
                    $0["workload"] as? String == workload && $0["target"] as? String == target
                }
                return found?["rounds"] as? [[String: Any]] ?? []
            }
        }

        private static let everything = [
            "put", "get", "txn", "delete", "objects", "mixed", "page", "pages", "list", "count", "kubernetes", "watch",
            "watch-keys", "watch-beside", "catch-up", "catch-up-keys", "lease", "lock", "compaction", "recover",
        ]

        @Test(
            "every workload, on a store in the process, on a drover and on an etcd: measured, and every event told once"
        )
        func workloads() async throws {
            try await withTemporaryDirectory { directory in
                let drover = try await TestServer.drover(directory: directory)
                let etcd = try await TestServer.etcd(directory: directory)
                let result = try bench(
                    directory,
                    [
                        "--target", "own=sqlite://own.db", "--target", "drover=http://127.0.0.1:\(drover.port)",
                        "--target", "etcd=http://127.0.0.1:\(etcd.port)", "--workload",
                        Self.everything.joined(separator: ","), "--rounds", "1", "--json", "figures.json", "--report",
                        "report.html",
                    ] + Self.short,
                    timeout: 400
                )
                #expect(result.status == 0, "\(result.error)")
                let report = try Report("\(directory)/figures.json")
                for workload in Self.everything {
                    for target in ["own", "drover", "etcd"] {
                        let isSkipped =
                            workload == "recover" && target != "own"
                        let rounds = report.rounds(workload, target)
                        #expect(rounds.count == (isSkipped ? 0 : 1), "\(workload) on \(target)")
                        for round in rounds {
                            let errors = round["errors"] as? [String: Int] ?? [:]
                            #expect(errors.isEmpty, "\(workload) on \(target): \(errors)")
                            let series = round["series"] as? [String: [String: Any]] ?? [:]
                            let calls = series.values.reduce(0) { $0 + ($1["calls"] as? Int ?? 0) }
                            #expect(calls > 0, "\(workload) on \(target) made no call")
                            let figures = round["figures"] as? [String: Double] ?? [:]
                            for name in [
                                "lost", "doubled", "out of order", "unexpected", "watches ended", "revoked early",
                            ] {
                                #expect(figures[name] ?? 0 == 0, "\(workload) on \(target): \(name) \(figures)")
                            }
                            if ["watch", "watch-keys", "kubernetes", "catch-up", "catch-up-keys", "lease"].contains(
                                workload
                            ) {
                                #expect(figures["events"] ?? 0 > 0, "\(workload) on \(target) was told of nothing")
                            }
                            #expect(round["peakBytes"] as? Int ?? 0 > 1 << 20)
                            #expect(round["loadPeakBytes"] as? Int ?? 0 > 1 << 20)
                            if workload == "objects" {
                                for kind in ["create", "update", "remove"] {
                                    #expect(series[kind]?["calls"] as? Int ?? 0 > 0, "\(target): no \(kind)")
                                }
                                #expect(series["conflict"] == nil, "\(target): \(series["conflict"] ?? [:])")
                            }
                            if workload == "kubernetes" {
                                for kind in ["update", "create", "remove", "get", "delivery"] {
                                    #expect(series[kind]?["calls"] as? Int ?? 0 > 0, "\(target): no \(kind)")
                                }
                                // Every object has one writer.
                                #expect(series["conflict"] == nil, "\(target): \(series["conflict"] ?? [:])")
                                #expect(figures["progress answers"] ?? 0 > 0, "\(target) told no progress")
                            }
                        }
                    }
                    #expect(result.output.contains("\n\(workload)\n"), "\(workload) is not in the table")
                }
                #expect(result.output.contains("times the calls of etcd"))
                // It takes its keys away.
                let left = try run(
                    droverExecutable(),
                    ["get", "--prefix", "/drover-bench/", "--keys-only", "--endpoints", "127.0.0.1:\(drover.port)"]
                )
                #expect(left.output.isEmpty && left.status == 0)
                try ReportBrowser(directory)?.look()
                drover.process.stop()
                etcd.process.stop()
            }
        }

        /// As kine is, which knows create, update and delete of one key alone.
        @Test("a server that refuses larger transactions is filled key by key")
        func smallTransactions() async throws {
            try await withTemporaryDirectory { directory in
                let drover = try await TestServer.drover(directory: directory, arguments: ["--max-txn-ops", "1"])
                let result = try bench(
                    directory,
                    [
                        "--target", "http://127.0.0.1:\(drover.port)", "--workload", "get,kubernetes", "--rounds", "1",
                        "--report", "-", "--json", "figures.json",
                    ] + Self.short
                )
                #expect(result.status == 0, "\(result.error)")
                let report = try Report("\(directory)/figures.json")
                for measurement in report.measurements {
                    let rounds = measurement["rounds"] as? [[String: Any]] ?? []
                    #expect(rounds.count == 1, "\(measurement["skipped"] ?? "")")
                    #expect(rounds.allSatisfy { ($0["errors"] as? [String: Int] ?? [:]).isEmpty })
                }
                drover.process.stop()
            }
        }

        @Test("on the servers' engines, in the process", arguments: Engine.shared)
        func engines(engine: Engine) async throws {
            try await withTemporaryDirectory { directory in
                let result = try bench(
                    directory,
                    [
                        "--target", try engine.endpoint(directory), "--workload", "put,get,kubernetes,watch",
                        "--rounds",
                        "1", "--report", "-", "--json", "figures.json",
                    ] + Self.short
                )
                #expect(result.status == 0, "\(result.error)")
                let report = try Report("\(directory)/figures.json")
                #expect(report.measurements.count == 4)
                for measurement in report.measurements {
                    for round in measurement["rounds"] as? [[String: Any]] ?? [] {
                        let figures = round["figures"] as? [String: Double] ?? [:]
                        #expect((round["errors"] as? [String: Int] ?? [:]).isEmpty)
                        #expect(figures["lost"] ?? 0 == 0 && figures["doubled"] ?? 0 == 0)
                    }
                }
                // No password, and no more of the address than its scheme.
                #expect(!result.output.contains("@"))
            }
        }

        /// Stops a server for a while, some time after the first put; nanoseconds.
        private func stop(_ server: TestServer, after: UInt64, for length: UInt64) -> Task<Void, any Error> {
            Task {
                // A bench that fails before says so itself.
                for _ in 0..<2_000 {
                    if try server.metric("etcd_mvcc_put_total") != 0 { break }
                    try await Task.sleep(nanoseconds: 10_000_000)
                }
                try await Task.sleep(nanoseconds: after)
                server.process.signal(SIGSTOP)
                try await Task.sleep(nanoseconds: length)
                server.process.signal(SIGCONT)
            }
        }

        @Test("an open loop counts from when a call was due: a server that stops is not spared")
        func openLoop() async throws {
            try await withTemporaryDirectory { directory in
                let drover = try await TestServer.drover(directory: directory)
                let stopper = stop(drover, after: 1_500_000_000, for: 1_000_000_000)
                let result = try bench(
                    directory,
                    [
                        "--target", "d=http://127.0.0.1:\(drover.port)", "--workload", "put", "--rate", "400",
                        "--rounds",
                        "1", "--duration", "4s", "--warm-up", "500ms", "--connections", "4", "--streams", "2",
                        "--report",
                        "-", "--json", "figures.json",
                    ]
                )
                _ = try await stopper.value
                #expect(result.status == 0, "\(result.error)")
                let round = try #require(try Report("\(directory)/figures.json").rounds("put", "d").first)
                let series = try #require((round["series"] as? [String: [String: Any]])?["put"])
                let calls = try #require(series["calls"] as? Int)
                // All that were due were made, the late ones too.
                // A few of the warm-up may come late, and a few at the end; without those of the stop there were 1,200.
                #expect((1_350...1_900).contains(calls), "\(calls) calls in 4 s at 400 a second")
                let times = try #require(series["percentiles"] as? [Double])
                // A quarter of the time nobody was served: a call in eight waited for more than half a second.
                #expect(times[14] > 350_000, "p90 is \(times[14]) us")
                #expect(times[8] < 250_000, "the median is \(times[8]) us")
                drover.process.stop()
            }
        }

        @Test("a closed loop counts what a server that stops leaves unanswered at the end")
        func stopAtTheEnd() async throws {
            try await withTemporaryDirectory { directory in
                let drover = try await TestServer.drover(directory: directory)
                let stopper = stop(drover, after: 1_000_000_000, for: 4_000_000_000)
                let result = try bench(
                    directory,
                    [
                        "--target", "d=http://127.0.0.1:\(drover.port)", "--workload", "put", "--rounds", "1",
                        "--duration", "2s", "--warm-up", "200ms", "--connections", "2", "--streams", "2", "--report",
                        "-", "--json", "figures.json",
                    ]
                )
                _ = try await stopper.value
                #expect(result.status == 0, "\(result.error)")
                let round = try #require(try Report("\(directory)/figures.json").rounds("put", "d").first)
                let series = try #require((round["series"] as? [String: [String: Any]])?["put"])
                #expect(series["worst"] as? Double ?? 0 > 2_500_000, "\(series["worst"] ?? 0) us")
                #expect((round["errors"] as? [String: Int] ?? [:]).isEmpty)
                drover.process.stop()
            }
        }

        @Test("targets take turns, and one that is lost on the way does not take the others' figures with it")
        func turns() async throws {
            try await withTemporaryDirectory { directory in
                let drover = try await TestServer.drover(directory: directory)
                let arguments = [
                    "--target", "a=http://127.0.0.1:\(drover.port)", "--target", "b=sqlite://b.db", "--workload",
                    "put,get", "--rounds", "2", "--report", "-", "--json", "figures.json",
                ]
                let result = try bench(directory, arguments + Self.short)
                #expect(result.status == 0, "\(result.error)")
                let rounds = result.error.split(separator: "\n").map { $0.prefix { $0 != ":" } }
                #expect(
                    rounds == [
                        "put on a 1/2", "put on b 1/2", "put on b 2/2", "put on a 2/2", "get on a 1/2", "get on b 1/2",
                        "get on b 2/2", "get on a 2/2",
                    ]
                )
                let killer = Task {
                    try await Task.sleep(nanoseconds: 2_500_000_000)
                    drover.process.signal(SIGKILL)
                }
                let lost = try bench(directory, arguments + Self.short)
                _ = try await killer.value
                // Where it was lost in the middle of its turn, that is told and is a fault.
                #expect(lost.status == (lost.output.contains("lanes lost") ? 1 : 0), "\(lost.error)")
                let report = try Report("\(directory)/figures.json")
                #expect(report.rounds("put", "b").count == 2 && report.rounds("get", "b").count == 2)
                #expect(report.rounds("get", "a").count < 2)
                #expect(lost.output.contains("not measured"))
            }
        }

        @Test("a server that is lost in the middle of its turn is no slow one")
        func lostLanes() async throws {
            try await withTemporaryDirectory { directory in
                let drover = try await TestServer.drover(directory: directory)
                let killer = Task {
                    try await Task.sleep(nanoseconds: 3_000_000_000)
                    drover.process.signal(SIGKILL)
                }
                let result = try bench(
                    directory,
                    [
                        "--target", "http://127.0.0.1:\(drover.port)", "--workload", "put", "--rounds", "1", "--report",
                        "-",
                    ] + Self.short + ["--duration", "8s"]
                )
                try await killer.value
                #expect(result.status == 1 && result.output.contains("lanes lost"), "\(result)")
            }
        }

        @Test("keys of a named folder stay, and the next run finds them")
        func folder() async throws {
            try await withTemporaryDirectory { directory in
                let drover = try await TestServer.drover(directory: directory)
                let endpoint = "127.0.0.1:\(drover.port)"
                func revision() throws -> Int {
                    let status = try run(
                        droverExecutable(),
                        ["endpoint", "status", "--write-out", "json", "--endpoints", endpoint]
                    )
                    let all = try JSONSerialization.jsonObject(with: Data(status.output.utf8)) as? [[String: Any]]
                    let header = (all?.first?["Status"] as? [String: Any])?["header"] as? [String: Any]
                    return try #require(header?["revision"] as? Int)
                }
                let arguments =
                    ["--target", "http://\(endpoint)", "--workload", "get,page", "--rounds", "1", "--report", "-"]
                    + Self.short + ["--folder", "kept"]
                #expect(try bench(directory, arguments).status == 0)
                let filled = try revision()
                // Of both workloads the keys are the same: four transactions of a hundred.
                #expect(filled == 5)
                #expect(try bench(directory, arguments).status == 0)
                #expect(try revision() == filled)
                let left = try run(
                    droverExecutable(),
                    ["get", "--prefix", "/drover-bench/kept/", "--count-only", "--endpoints", endpoint, "-w", "fields"]
                )
                #expect(left.output.contains("\"Count\" : 400"), "\(left.output)")
                let wrong = try bench(directory, arguments + ["--folder", "a/b"])
                #expect(wrong.status != 0 && wrong.error.contains("folder's name"))
                drover.process.stop()
            }
        }

        @Test("two runs are compared, and what is asked wrongly is said")
        func comparison() async throws {
            try await withTemporaryDirectory { directory in
                let arguments =
                    ["--target", "own=sqlite://own.db", "--workload", "put,get", "--rounds", "3", "--report", "-"]
                    + Self.short
                for name in ["a", "b"] {
                    let result = try bench(directory, arguments + ["--json", "\(name).json"])
                    #expect(result.status == 0, "\(result.error)")
                }
                let all = try bench(directory, ["compare", "a.json", "b.json", "--all"])
                #expect(all.status == 0 && all.output.contains("put calls/s") && all.output.contains("get p99 (us)"))
                // Two runs of what was measured, the gets' rates of one a third of the other's: what the machine does
                // to rounds this short may hide any difference, and is not what is tested.
                var text =
                    try JSONSerialization.jsonObject(
                        with: Data(contentsOf: URL(fileURLWithPath: "\(directory)/a.json"))
                    ) as! [String: Any]
                for (name, rates) in [("steady", [3000.0, 3030, 2970]), ("slow", [1000, 1010, 990])] {
                    var measurements = text["measurements"] as! [[String: Any]]
                    for i in measurements.indices where measurements[i]["workload"] as? String == "get" {
                        var rounds = measurements[i]["rounds"] as! [[String: Any]]
                        for j in rounds.indices {
                            var series = rounds[j]["series"] as! [String: [String: Any]]
                            series["get"]!["rate"] = rates[j]
                            rounds[j]["series"] = series
                        }
                        measurements[i]["rounds"] = rounds
                    }
                    text["measurements"] = measurements
                    try JSONSerialization.data(withJSONObject: text).write(
                        to: URL(fileURLWithPath: "\(directory)/\(name).json")
                    )
                }
                let slow = try bench(directory, ["compare", "steady.json", "slow.json", "--fail-on-worse"])
                #expect(slow.status == 1, "\(slow.output)")
                #expect(slow.output.contains("get calls/s") && slow.output.contains("worse"))
                #expect(!slow.output.contains("put calls/s"))
                let fast = try bench(directory, ["compare", "slow.json", "steady.json", "--fail-on-worse"])
                #expect(fast.status == 0 && fast.output.contains("better"))
                for (arguments, words) in [
                    ([], "--target"),
                    (["--target", "sqlite://x.db", "--workload", "nonsense"], "no workload nonsense"),
                    (["--target", "sqlite://x.db", "--value-size", "many"], "a size must be"),
                    (["--target", "sqlite://x.db", "--connections", "0"], "connections must be"),
                    (["--target", "sqlite://x.db", "--rate", "1e-9"], "the rate must be"),
                    (["--target", "sqlite://x.db", "--rate", "5", "--cluster-rate"], "exclude each other"),
                    (["--target", "http://127.0.0.1:1", "--user", ":"], "--user must be"),
                    (["--target", "sqlite://x.db", "--threads", "0"], "threads must be"),
                    (["--target", "sqlite://x.db", "--json", "none/figures.json"], "cannot be written"),
                    (["--target", "http://127.0.0.1:1"], "127.0.0.1:1"),
                    (["compare", "a.json", "none"], "no file of figures"),
                ] as [([String], String)] {
                    let result = try bench(directory, arguments)
                    #expect(result.status != 0 && result.error.contains(words), "\(arguments): \(result.error)")
                }
            }
        }
    }
}
