import DroverClient
import EtcdAPI
import Foundation
import TestSupport
import Testing

extension SystemTests.Bench {
    /// Python runs a program on a terminal so many columns wide, and passes on what that is told.
    private static let terminal = """
        import fcntl, os, pty, struct, sys, termios
        child, terminal = pty.fork()
        if child == 0:
            fcntl.ioctl(2, termios.TIOCSWINSZ, struct.pack("HHHH", 24, int(sys.argv[1]), 0, 0))
            os.execv(sys.argv[2], sys.argv[2:])
        try:
            while data := os.read(terminal, 65536):
                sys.stdout.buffer.write(data)
        except OSError:
            pass
        sys.exit(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]))
        """

    /// What a terminal is told by a run; its lines end as they do elsewhere.
    private func onTerminal(
        _ columns: Int,
        _ directory: String,
        _ arguments: [String],
        type: String = "xterm"
    ) throws -> (status: Int32, output: String) {
        let result = try run(
            "/usr/bin/python3",
            ["-c", Self.terminal, "\(columns)", droverExecutable(), "bench"] + arguments,
            environment: ["TERM": type],
            directory: directory,
            timeout: 120
        )
        return (result.status, result.output.replacingOccurrences(of: "\r\n", with: "\n"))
    }

    /// The bar's full part, the rate, p50, p99 and the seconds left, of each line that was drawn.
    private func frames(_ drawn: [String]) -> [[Int]] {
        let form = #/put on own 1/1 \[(#*)(\.*)\] ([0-9]+)/s p50 ([0-9]+) us p99 ([0-9]+) us, ([0-9]+) s left/#
        return drawn.compactMap { line in
            guard let told = line.wholeMatch(of: form)?.output else { return nil }
            #expect(told.1.count + told.2.count == 20)
            return [told.1.count] + [told.3, told.4, told.5, told.6].map { Int($0) ?? -1 }
        }
    }

    @Test("on a terminal a line is drawn anew, with a bar, the rate, p50, p99 and the time left, and nowhere else")
    func display() async throws {
        try await withTemporaryDirectory { directory in
            let arguments =
                ["--target", "own=sqlite://own.db", "--workload", "put", "--rounds", "1", "--report", "-"]
                + Self.short
            let clear = "\r\u{1b}[K"
            var drawn: [String] = []
            var told: [[Int]] = []
            func isMeasured(_ frame: [Int]) -> Bool { frame[1] > 0 && frame[2] > 0 && frame[2] <= frame[3] }
            // A machine that stands still while it is measured draws nothing of that: once more, then.
            for _ in 0..<3 where !told.contains(where: isMeasured) {
                let result = try onTerminal(120, directory, arguments + ["--duration", "2s"])
                #expect(result.status == 0, "\(result.output)")
                drawn = result.output.components(separatedBy: clear)
                told = frames(drawn)
            }
            #expect(told.contains(where: isMeasured), "\(drawn)")
            #expect(zip(told, told.dropFirst()).allSatisfy { $0[0] <= $1[0] && $0[4] >= $1[4] }, "\(told)")
            #expect(drawn.contains("put on own: filling the store"))
            #expect(drawn.contains { $0.hasPrefix("put on own 1/1: ") && $0.hasSuffix(" calls/s\n") }, "\(drawn)")
            // The last one is taken away before the table.
            #expect(drawn.last?.contains("calls/s  spread") == true)
            // There is no colour, which NO_COLOR could take away, and no other code.
            func hasCodes(_ text: String) -> Bool { text.contains { $0 == "\u{1b}" || $0 == "\r" } }
            #expect(!hasCodes(drawn.joined()))
            // A line that went on in the next row would not be drawn over.
            let narrow = try onTerminal(20, directory, arguments).output.components(separatedBy: clear)
            #expect(narrow.contains("put on own: filling"))
            #expect(narrow.allSatisfy { $0.contains("\n") || $0.count < 20 }, "\(narrow)")
            // A terminal that knows no codes, and a file, have a line for each round alone.
            let dumb = try onTerminal(120, directory, arguments, type: "dumb")
            #expect(dumb.output.hasPrefix("put on own 1/1: ") && !hasCodes(dumb.output), "\(dumb.output)")
            let file = try bench(directory, arguments)
            #expect(file.error.hasPrefix("put on own 1/1: ") && file.error.filter { $0 == "\n" }.count == 1)
            #expect(!hasCodes(file.error + file.output))
        }
    }

    /// As endpoints are in use: with an authority of their own, and users who may write where the harness does alone.
    @Test("endpoints by TLS and by a socket in the file system, which ask who is there")
    func secured() async throws {
        try await withTemporaryDirectory { directory in
            let certificates = try TestCertificates("\(directory)/certificates")
            let (plain, encrypted) = (freePort(), freePort())
            let drover = try await TestServer.drover(
                directory: directory,
                port: plain,
                arguments: [
                    "--server-cert-file", certificates.path("server.pem"), "--server-key-file",
                    certificates.path("server.key"),
                ],
                environment: [
                    "DROVER_LISTEN_ADDRESS":
                        "http://127.0.0.1:\(plain),https://127.0.0.1:\(encrypted),unix://\(directory)/s"
                ]
            )
            let here = ["--endpoints", "127.0.0.1:\(plain)"]
            for command in [
                ["user", "add", "root:pw"], ["user", "grant-role", "root", "root"], ["role", "add", "bench"],
                ["role", "grant-permission", "bench", "readwrite", "/drover-bench/", "--prefix"],
                ["user", "add", "load:s3cret"], ["user", "grant-role", "load", "bench"], ["auth", "enable"],
            ] {
                let result = try run(droverExecutable(), command + here)
                #expect(result.status == 0, "\(command): \(result.error)")
            }
            let arguments =
                [
                    "--target", "tls=https://127.0.0.1:\(encrypted)", "--target", "socket=unix://\(directory)/s",
                    "--workload", "put,get,txn", "--rounds", "1", "--json", "figures.json", "--report",
                    "report.html",
                ] + Self.short
            let trust = ["--cacert", certificates.path("ca.pem")]
            let result = try bench(directory, arguments + trust + ["--user", "load:s3cret"])
            #expect(result.status == 0, "\(result.error)")
            let report = try Report("\(directory)/figures.json")
            for workload in ["put", "get", "txn"] {
                for target in ["tls", "socket"] {
                    let round = try #require(report.rounds(workload, target).first, "\(workload) on \(target)")
                    let series = round["series"] as? [String: [String: Any]] ?? [:]
                    #expect(series.values.contains { $0["calls"] as? Int ?? 0 > 0 }, "\(workload) on \(target)")
                    #expect((round["errors"] as? [String: Int] ?? [:]).isEmpty, "\(workload) on \(target)")
                    #expect(round["peakBytes"] as? Int ?? 0 > 1 << 20, "\(workload) on \(target)")
                }
            }
            var told = result.output + result.error
            for name in ["figures.json", "report.html"] {
                told += try String(contentsOfFile: "\(directory)/\(name)", encoding: .utf8)
            }
            #expect(!told.contains("s3cret"))
            for (more, words) in [
                (["--cacert", certificates.path("stranger.pem"), "--user", "load:s3cret"], "VERIFY_FAILED"),
                (["--user", "load:s3cret"], "VERIFY_FAILED"), (trust, "user name is empty"),
                (trust + ["--user", "load:wrong"], "authentication failed"),
            ] {
                let refused = try bench(directory, arguments + more)
                let said = refused.output + refused.error
                #expect(refused.status == 1 && said.contains(words), "\(more): \(said)")
            }
            // It may take its keys away, too.
            let left = try run(
                droverExecutable(),
                ["get", "--prefix", "/drover-bench/", "--keys-only", "--user", "root:pw"] + here
            )
            #expect(left.output.isEmpty && left.status == 0, "\(left)")
            drover.process.stop()
        }
    }

    @Test("keys and values are as long as was asked for: all the same, any of a range, or short ones mostly")
    func sizes() async throws {
        try await withTemporaryDirectory { directory in
            let drover = try await TestServer.drover(directory: directory)
            let connection = try await drover.connect()
            for (kind, key, value) in [
                ("fixed", 60...60, 500...500), ("uniform", 40...90, 100...4_000), ("zipf", 40...90, 100...4_000),
            ] as [(String, ClosedRange<Int>, ClosedRange<Int>)] {
                func size(_ range: ClosedRange<Int>) -> String {
                    kind == "fixed" ? "\(range.lowerBound)" : "\(kind):\(range.lowerBound)-\(range.upperBound)"
                }
                let result = try bench(
                    directory,
                    [
                        "--target", "http://127.0.0.1:\(drover.port)", "--workload", "mixed", "--read-ratio", "0.5",
                        "--rounds", "1", "--report", "-", "--folder", kind, "--key-size", size(key), "--value-size",
                        size(value),
                    ] + Self.short
                )
                #expect(result.status == 0, "\(result.error)")
                var all = PBRangeRequest()
                all.key = Data("/drover-bench/\(kind)/".utf8)
                all.rangeEnd = Data("/drover-bench/\(kind)0".utf8)
                let reply: PBRangeResponse = try await connection.unary("/etcdserverpb.KV/Range", all)
                // Those that the load has written over are among them.
                #expect(reply.kvs.count == 400 && reply.kvs.contains { $0.version > 1 })
                for (bounds, sizes) in [
                    (key, reply.kvs.map { $0.key.count }), (value, reply.kvs.map { $0.value.count }),
                ] {
                    let lengths = sizes.sorted()
                    #expect(lengths.allSatisfy { bounds.contains($0) }, "\(kind): \(lengths)")
                    if kind == "fixed" { continue }
                    #expect(Set(lengths).count > 20, "\(kind): \(lengths)")
                    // Half of what zipf draws is of the first tenth of the range, about.
                    let isShort = (lengths[lengths.count / 2] - bounds.lowerBound) * 4 < bounds.count
                    #expect(isShort == (kind == "zipf"), "\(kind): \(lengths)")
                }
            }
            await connection.close()
            drover.process.stop()
        }
    }

    @Test("locks in an open loop: as many as are due, each given up as soon as it is had")
    func locks() async throws {
        try await withTemporaryDirectory { directory in
            let drover = try await TestServer.drover(directory: directory)
            let result = try bench(
                directory,
                [
                    "--target", "own=sqlite://own.db", "--target", "d=http://127.0.0.1:\(drover.port)",
                    "--workload",
                    "lock", "--rate", "50", "--rounds", "1", "--duration", "3s", "--warm-up", "200ms",
                    "--connections", "5", "--streams", "2", "--report", "-", "--json", "figures.json",
                ]
            )
            #expect(result.status == 0, "\(result.error)")
            for target in ["own", "d"] {
                let round = try #require(try Report("\(directory)/figures.json").rounds("lock", target).first)
                let series = try #require(round["series"] as? [String: [String: Any]])
                // Those that were late are in it. Were a lock kept until the next call is due, there would be half as many.
                let slots = series["lock"]?["overTime"] as? [[String: Any]] ?? []
                let locks = slots.reduce(0) { $0 + ($1["calls"] as? Int ?? 0) }
                #expect((130...160).contains(locks), "\(target): \(locks) locks in 3 s at 50 a second")
                #expect((round["errors"] as? [String: Int] ?? [:]).isEmpty, "\(target): \(round["errors"] ?? "")")
            }
            drover.process.stop()
        }
    }
}
