import ArgumentParser
import Drover
import DroverBackends
import DroverBench
import DroverClient
import DroverServer

#if canImport(Glibc)
    import Glibc
#elseif canImport(Musl)
    import Musl
#elseif canImport(Darwin)
    import Darwin
#endif

/// `drover bench run`, and `drover bench` alone.
struct BenchRunCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(commandName: "run", abstract: "Measure.")

    @Option(
        help:
            "What is measured, as URL or NAME=URL: sqlite://, postgres://, mysql:// in this process, http://, https://, unix:// over the wire. Repeat it."
    )
    var target: [String] = []

    @Option(help: "What is done; repeat it, or divide by commas. Default put,get,txn.")
    var workload: [String] = []

    @Option(help: "Connections to an endpoint.")
    var connections: Int = 50

    @Option(help: "Calls at a time on each connection.")
    var streams: Int = 10

    @Option(help: "How long each round measures.")
    var duration: String = "10s"

    @Option(help: "How long each round runs before it measures.")
    var warmUp: String = "2s"

    @Option(help: "Rounds of each target.")
    var rounds: Int = 3

    @Option(help: "Calls a second, whether or not earlier ones were answered; 0 is as many as are answered.")
    var rate: Double = 0

    @Flag(help: "As many calls a second as a cluster of --nodes makes: every node renews its lease each ten seconds.")
    var clusterRate = false

    @Option(help: "Keys in the store before reads begin.")
    var keys: Int = 10_000

    @Option(help: "Bytes of keys: N, uniform:LOW-HIGH or zipf:LOW-HIGH.")
    var keySize: String = "48"

    @Option(help: "Bytes of values: N, uniform:LOW-HIGH or zipf:LOW-HIGH.")
    var valueSize: String = "1024"

    @Option(help: "The order of keys: random, sequential or zipf.")
    var keyOrder: String = "random"

    @Option(help: "The share of reads in mixed.")
    var readRatio: Double = 0.9

    @Option(help: "Nodes of the cluster that kubernetes plays.")
    var nodes: Int = 100

    @Option(help: "Watches of watch, watch-keys, watch-beside, catch-up and catch-up-keys.")
    var watchers: Int = 100

    @Option(help: "Leases of lease.")
    var leases: Int = 1_000

    @Option(help: "Revisions that catch-up and catch-up-keys go back and compaction takes away.")
    var history: Int = 20_000

    @Option(help: "A name under which the keys of get, mixed, page, pages, list and count stay for the next run.")
    var folder: String?

    @Option(help: "What random choices begin with.")
    var seed: UInt64 = 1

    @Option(help: "Threads that make the load of an endpoint.")
    var threads: Int = 1

    @Option(help: "A file for the figures, which drover bench compare reads.")
    var json: String?

    @Option(help: "A file for the report with charts; - is none.")
    var report: String = "drover-bench.html"

    @Option(help: "The user of endpoints with auth, as NAME:PASSWORD.")
    var user: String?

    @OptionGroup var tlsFiles: ClientTLSFiles

    @Flag(help: "Take any certificate of endpoints: for tests alone.")
    var insecureSkipTlsVerify = false

    func validate() throws {
        guard !target.isEmpty else { throw ValidationError("--target is needed: what is to be measured?") }
        for text in [duration, warmUp] where Duration.seconds(of: text) == nil {
            throw ValidationError("--duration and --warm-up must be durations, such as 10s.")
        }
        if let user = user ?? Environment.client("USER"), user.first == ":" || user.isEmpty {
            throw ValidationError("--user must be NAME:PASSWORD.")
        }
        if clusterRate && rate != 0 { throw ValidationError("--rate and --cluster-rate exclude each other.") }
        for file in [json, report == "-" ? nil : report] {
            if let file, !Self.canWrite(file) { throw ValidationError("\(file) cannot be written.") }
        }
    }

    /// Found out before an hour is measured, not after.
    private static func canWrite(_ file: String) -> Bool {
        var status = stat()
        if stat(file, &status) == 0 { return status.st_mode & S_IFMT != S_IFDIR && access(file, W_OK) == 0 }
        let folder = file.lastIndex(of: "/").map { String(file[...$0]) } ?? "."
        return access(folder, W_OK) == 0
    }

    func run() async throws {
        signal(SIGPIPE, SIG_IGN)
        OpenFiles.raiseLimit()
        AllocatorTuning.apply()
        Backends.tuneProcess()
        var settings = BenchSettings()
        settings.connections = connections
        settings.streams = streams
        settings.seconds = Duration.seconds(of: duration)!
        settings.warmUpSeconds = Duration.seconds(of: warmUp)!
        settings.rounds = rounds
        settings.rate = clusterRate ? BenchSettings.clusterRate(nodes: nodes) : rate
        settings.keys = keys
        settings.keySize = keySize
        settings.valueSize = valueSize
        settings.keyOrder = keyOrder
        settings.readRatio = readRatio
        settings.nodes = nodes
        settings.watchers = watchers
        settings.leases = leases
        settings.history = history
        settings.folder = folder
        settings.seed = seed
        settings.threads = threads
        var workloads = workload.flatMap { $0.split(separator: ",").map(String.init) }
        if workloads.isEmpty { workloads = ["put", "get", "txn"] }
        var seen: Set<String> = []
        workloads = workloads.filter { seen.insert($0).inserted }
        do {
            let display = BenchDisplay()
            let runner = try await BenchRunner(
                targets: target,
                workloads: workloads,
                settings: settings,
                drivers: Backends.all,
                tls: tlsFiles.tls(acceptsAnyCertificate: insecureSkipTlsVerify),
                user: credentials,
                threads: threads,
                isFollowed: display.isTerminal
            ) { display.show($0) }
            Signals.listen()
            let result = await runner.run { Signals.hasCome }
            display.finish()
            print(result.table)
            if let json { try result.write(to: json) }
            if report != "-" {
                try result.writeHTML(to: report)
                print("\nThe report is in \(report).")
            }
            if result.measurements.allSatisfy(\.rounds.isEmpty) { throw ExitCode(1) }
            let (calls, errors) = result.answered
            if errors > 0 {
                FileHandles.standardError(
                    "\(errors) calls failed and \(calls) were answered: rates, processor time and ratios are of the answered alone\n"
                )
            }
            if calls == 0 && errors > 0 { throw ExitCode(1) }
            if Signals.hasCome { throw ExitCode(130) }
            if result.hasFaults {
                FileHandles.standardError(
                    "error: a target has lost or doubled events, ended leases early or closed connections; see the table\n"
                )
                throw ExitCode(1)
            }
        } catch let error as BenchError {
            throw ValidationError("\(error).")
        } catch let error as DroverError {
            FileHandles.standardError("error: \(error.message)\n")
            throw ExitCode(1)
        } catch let error as ClientError {
            FileHandles.standardError("error: \(error.message)\n")
            throw ExitCode(1)
        }
    }

    private var credentials: (name: String, password: String)? {
        guard let user = user ?? Environment.client("USER") else { return nil }
        let parts = user.split(separator: ":", maxSplits: 1, omittingEmptySubsequences: false).map(String.init)
        return (parts[0], parts.count > 1 ? parts[1] : "")
    }
}
